"""Forecasts with the package tirex-ts at the published size and random weights, as Benchmarks/tirex asks for them.

Requests on standard input, one JSON object a line: batch, length, horizon, threads, seconds; answers the milliseconds of the
best call, and those of processor time. "single" runs the cell in single precision in place of bfloat16.
"""

import json
import math
import sys
import time

import torch
from tirex.models.slstm.cell import sLSTMCell
from tirex.models.tirex import TiRexZero

LEVELS = [k / 10 for k in range(1, 10)]
torch.manual_seed(0)
model = TiRexZero(
    backend="torch", train_ctx_len=2048,
    model_config=dict(
        input_patch_size=32, output_patch_size=32, quantiles=LEVELS, input_ff_dim=2048,
        block_kwargs=dict(embedding_dim=512, num_heads=4, num_blocks=12, ffn_proj_factor=2.6667)))
with torch.no_grad():
    for name, p in model.named_parameters():
        p.normal_(std=1 / math.sqrt(p.shape[-1]) if p.ndim > 1 else 0.1)
bfloat = sLSTMCell._impl_torch


def single(cell, x, state):
    x = x.reshape(x.shape[0], x.shape[1], -1)
    c = cell.config
    bias = cell._bias_.reshape(c.num_heads, c.num_gates, c.head_dim).permute(1, 0, 2).reshape(-1)
    return cell._impl_forward_torch(x, state, cell._recurrent_kernel_, bias)


for line in sys.stdin:
    request = json.loads(line)
    torch.set_num_threads(request["threads"])
    sLSTMCell._impl_torch = single if request.get("single") else bfloat
    series = torch.sin(torch.arange(request["length"]) / 10)[None] + 0.1 * torch.randn(request["batch"], request["length"])
    best, cpu, end = math.inf, math.inf, time.monotonic() + request["seconds"]
    while True:
        began, before = time.perf_counter(), time.process_time()
        model.forecast(series, prediction_length=request["horizon"])
        best, cpu = min(best, time.perf_counter() - began), min(cpu, time.process_time() - before)
        if time.monotonic() > end:
            break
    print(json.dumps({"milliseconds": best * 1e3, "cpuMilliseconds": cpu * 1e3, "version": torch.__version__}), flush=True)
