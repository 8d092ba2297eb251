"""The xlstm package's side of a comparison of xLSTM blocks: requests on standard input, one JSON object a line.

    {"mode": "train" | "infer" | "stream", "kind": "slstm" | "mlstm", "batch": 32, "length": 96, "width": 64,
     "threads": 2, "seconds": 2}

One block behind a linear layer of the same width, and the stack's last norm, as our backbone has them; the
sLSTM in the package's "vanilla" form, which is the one for CPUs. Training is forward, backward and fused Adam
on the mean square of all results. Needs: pip install xlstm torch.
"""

import json
import sys
import time

import torch
from xlstm import (
    FeedForwardConfig, mLSTMBlockConfig, mLSTMLayerConfig, sLSTMBlockConfig, sLSTMLayerConfig,
    xLSTMBlockStack, xLSTMBlockStackConfig)

torch.set_flush_denormal(True)


def best_milliseconds(seconds, body):
    """The least wall-clock and processor time of a call."""
    body()
    best = cpu = float("inf")
    end = time.perf_counter() + seconds
    while True:
        began, spent = time.perf_counter(), time.process_time()
        body()
        best, cpu = min(best, time.perf_counter() - began), min(cpu, time.process_time() - spent)
        if time.perf_counter() >= end:
            return best * 1e3, cpu * 1e3


def model(request):
    heads, width = 4, request["width"]
    slstm = sLSTMBlockConfig(
        slstm=sLSTMLayerConfig(
            backend="vanilla", num_heads=heads, conv1d_kernel_size=4, bias_init="powerlaw_blockdependent"),
        feedforward=FeedForwardConfig(proj_factor=4 / 3, act_fn="gelu"))
    mlstm = mLSTMBlockConfig(
        mlstm=mLSTMLayerConfig(conv1d_kernel_size=4, qkv_proj_blocksize=4, num_heads=heads))
    stack = xLSTMBlockStack(xLSTMBlockStackConfig(
        mlstm_block=mlstm, slstm_block=slstm, context_length=max(request.get("length", 1), 64),
        num_blocks=1, embedding_dim=width, slstm_at=[0] if request["kind"] == "slstm" else []))
    stack.reset_parameters()
    return torch.nn.Linear(width, width), stack


def inference(request):
    linear, stack = model(request)
    x = torch.randn(request["batch"], request["length"], request["width"])

    def body():
        with torch.inference_mode():
            stack(linear(x))
    return body


def training(request):
    linear, stack = model(request)
    parameters = [*linear.parameters(), *stack.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-4, fused=True)
    x = torch.randn(request["batch"], request["length"], request["width"])

    def body():
        optimiser.zero_grad(set_to_none=True)
        stack(linear(x)).square().mean().backward()
        optimiser.step()
    return body


def streaming(request):
    linear, stack = model(request)
    x = torch.randn(1, 1, request["width"])
    with torch.inference_mode():
        _, state = stack.step(linear(x))

    def body():
        nonlocal state
        with torch.inference_mode():
            for _ in range(20):
                _, state = stack.step(linear(x), state)
    return body


def answer(request):
    torch.set_num_threads(request["threads"])
    if request["mode"] == "stream":
        return [time / 20 for time in best_milliseconds(request["seconds"], streaming(request))]
    body = inference if request["mode"] == "infer" else training
    return best_milliseconds(request["seconds"], body(request))


for line in sys.stdin:
    wall, cpu = answer(json.loads(line))
    print(json.dumps({"milliseconds": wall, "cpuMilliseconds": cpu, "version": torch.__version__}), flush=True)
