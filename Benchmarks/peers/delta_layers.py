"""A block of DeltaNet written out in PyTorch: requests on standard input, one JSON object a line.

    {"mode": "train" | "infer" | "stream", "kind": "deltanet", "batch": 32, "length": 96, "width": 64, "threads": 2,
     "seconds": 2}

The equations of our block: a linear layer, root mean square norm, projections to queries, keys and values with a
causal convolution of length 4 and SiLU, the delta rule with four heads and beta in (0, 2), norm by head, projection;
norm and gated network of 88; last norm. The delta rule step by step and chunkwise by the WY form (Yang et al. 2024,
arXiv 2406.06484) with chunks of 16, 32 and 64; the fastest counts. Training is forward, backward and fused Adam on the
mean square of all results. Needs: pip install torch.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional

torch.set_flush_denormal(True)
HEADS, TAPS = 4, 4


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


def recurrent(q, k, v, beta):
    """All [B, N, T, D], beta [B, N, T]."""
    B, N, T, D = q.shape
    state = q.new_zeros(B, N, D, D)
    results = []
    for t in range(T):
        key = k[:, :, t]
        change = beta[:, :, t, None] * (v[:, :, t] - torch.einsum("bnd,bnde->bne", key, state))
        state = state + key[..., None] * change[..., None, :]
        results.append(torch.einsum("bnd,bnde->bne", q[:, :, t], state))
    return torch.stack(results, 2)


def chunkwise(q, k, v, beta, length):
    B, N, T, D = q.shape
    pad = -T % length
    if pad:
        q, k, v = (functional.pad(x, (0, 0, 0, pad)) for x in (q, k, v))
        beta = functional.pad(beta, (0, pad))
    q, k, v = (x.reshape(B, N, -1, length, D) for x in (q, k, v))
    beta = beta.reshape(B, N, -1, length, 1)
    system = torch.tril(beta * (k @ k.mT), -1)
    solved = torch.linalg.solve_triangular(
        system, torch.cat([beta * k, beta * v], -1), upper=False, unitriangular=True)
    w, u = solved.split(D, -1)
    scores = torch.tril(q @ k.mT)
    state = q.new_zeros(B, N, D, D)
    results = []
    for c in range(q.shape[2]):
        change = u[:, :, c] - w[:, :, c] @ state
        results.append(q[:, :, c] @ state + scores[:, :, c] @ change)
        state = state + k[:, :, c].mT @ change
    return torch.cat(results, 2)[:, :, :T]


class Block(nn.Module):
    def __init__(self, width, rule):
        super().__init__()
        inner = -(-width * 4 // 3 // 8) * 8
        self.rule = rule
        self.encoder = nn.Linear(width, width)
        self.norm, self.network_norm, self.last_norm = (nn.RMSNorm(width) for _ in range(3))
        self.operands = nn.Linear(width, 3 * width, bias=False)
        self.convolution = nn.Conv1d(3 * width, 3 * width, TAPS, groups=3 * width, padding=TAPS - 1)
        self.beta = nn.Linear(width, HEADS)
        self.head_norm = nn.RMSNorm(width // HEADS)
        self.output = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.up_gate = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def rest(self, x, y):
        x = x + self.output(self.head_norm(y).flatten(-2))
        v = self.network_norm(x)
        return self.last_norm(x + self.down(self.up(v) * functional.silu(self.up_gate(v))))

    def heads(self, channels):
        B, T, _ = channels.shape
        parts = [x.reshape(B, T, HEADS, -1) for x in channels.chunk(3, -1)]
        return [functional.normalize(x, dim=-1) for x in parts[:2]] + [parts[2]]

    def forward(self, x):
        x = self.encoder(x)
        u = self.norm(x)
        channels = self.operands(u).mT
        channels = functional.silu(self.convolution(channels)[..., :x.shape[1]]).mT
        q, k, v = (part.transpose(1, 2) for part in self.heads(channels))
        y = self.rule(q, k, v, 2 * torch.sigmoid(self.beta(u)).transpose(1, 2))
        return self.rest(x, y.transpose(1, 2))

    def step(self, x, state, past):
        x = self.encoder(x)
        u = self.norm(x)
        past = torch.cat([past[..., 1:], self.operands(u)[..., None]], -1)
        channels = functional.silu((past * self.convolution.weight[:, 0]).sum(-1) + self.convolution.bias)
        q, k, v = (part[:, 0] for part in self.heads(channels[:, None]))
        change = 2 * torch.sigmoid(self.beta(u))[..., None] * (v - torch.einsum("bnd,bnde->bne", k, state))
        state = state + k[..., None] * change[..., None, :]
        return self.rest(x, torch.einsum("bnd,bnde->bne", q, state)), state, past


def training(request, rule):
    block = Block(request["width"], rule)
    optimiser = torch.optim.Adam(block.parameters(), lr=1e-4, fused=True)
    x = torch.randn(request["batch"], request["length"], request["width"])

    def body():
        optimiser.zero_grad(set_to_none=True)
        block(x).square().mean().backward()
        optimiser.step()
    return body


def inference(request, rule):
    block = Block(request["width"], rule)
    x = torch.randn(request["batch"], request["length"], request["width"])

    def body():
        with torch.inference_mode():
            block(x)
    return body


def streaming(request):
    width = request["width"]
    block, x = Block(width, recurrent), torch.randn(1, width)
    state, past = torch.zeros(1, HEADS, width // HEADS, width // HEADS), torch.zeros(1, 3 * width, TAPS)

    def body():
        nonlocal state, past
        with torch.inference_mode():
            for _ in range(20):
                _, state, past = block.step(x, state, past)
    return body


def answer(request):
    torch.set_num_threads(request["threads"])
    if request["mode"] == "stream":
        return [time / 20 for time in best_milliseconds(request["seconds"], streaming(request))]
    torch.manual_seed(1)
    q, k, v = (torch.randn(2, 2, 21, 5, dtype=torch.float64) for _ in range(3))
    q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
    beta = 2 * torch.rand(2, 2, 21, dtype=torch.float64)
    torch.testing.assert_close(chunkwise(q, k, v, beta, 8), recurrent(q, k, v, beta))
    rules = [recurrent] + [lambda *x, length=length: chunkwise(*x, length) for length in (16, 32, 64)]
    run = inference if request["mode"] == "infer" else training
    return min(best_milliseconds(request["seconds"] / len(rules), run(request, rule)) for rule in rules)


for line in sys.stdin:
    wall, cpu = answer(json.loads(line))
    print(json.dumps({"milliseconds": wall, "cpuMilliseconds": cpu, "version": torch.__version__}), flush=True)
