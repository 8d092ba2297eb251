"""PyTorch's side of a comparison of the reference networks: requests on standard input, one JSON object a line.

    {"mode": "train" | "window", "kind": "tcn" | "transformer" | "patchtst", "batch": 32, "length": 96, "width": 64,
     "inputs": 2, "layers": 1, "threads": 2, "seconds": 2}

The same networks as ours from PyTorch's own layers: dilated convolutions with oneDNN, attention by
scaled_dot_product_attention with rotary positions, patches by unfold. Training is forward, backward and fused Adam on
the mean square of all results, or with "window" of the state of a window alone, which is what a forecast needs.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional

torch.set_flush_denormal(True)


class Convolution(nn.Module):
    def __init__(self, width, taps, dilation):
        super().__init__()
        self.convolution = nn.Conv1d(width, width, taps, dilation=dilation)
        self.padding = (taps - 1) * dilation

    def forward(self, x):
        return functional.relu(self.convolution(functional.pad(x, (self.padding, 0))))


class TCN(nn.Module):
    def __init__(self, inputs, width, length, layers, taps=3):
        super().__init__()
        levels = 1
        while 1 + 2 * (taps - 1) * (2**levels - 1) < length:
            levels += 1
        self.encoder = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(Convolution(width, taps, 2**level), Convolution(width, taps, 2**level))
            for _ in range(layers) for level in range(levels))

    def forward(self, x, window):
        x = self.encoder(x).transpose(1, 2).contiguous()
        for block in self.blocks:
            x = functional.relu(x + block(x))
        return x[:, :, -1] if window else x


class Block(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm, self.network_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.operands = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, angles=None):
        batch, length, width = x.shape
        qkv = self.operands(self.norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if angles is not None:
            q, k = turned(q, angles), turned(k, angles)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.output(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.network(self.network_norm(x))


def turned(x, angles):
    (cosine, sine), (low, high) = angles, x.chunk(2, -1)
    return torch.cat([low * cosine - high * sine, high * cosine + low * sine], -1)


class Transformer(nn.Module):
    def __init__(self, inputs, width, length, layers, heads=4):
        super().__init__()
        self.encoder, self.norm = nn.Linear(inputs, width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads, True) for _ in range(layers))
        half = width // heads // 2
        angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(half) / half)
        self.angles = angles.cos(), angles.sin()

    def forward(self, x, window):
        x = self.encoder(x)
        for block in self.blocks:
            x = block(x, self.angles)
        return self.norm(x[:, -1] if window else x)


class PatchTST(nn.Module):
    def __init__(self, inputs, width, length, layers, heads=4):
        super().__init__()
        self.steps = length // 32 if length > 512 else min(16, max(2, length // 8))
        self.stride = (self.steps + 1) // 2
        patches = -(-(length - self.steps) // self.stride) + 1
        self.missing = (patches - 1) * self.stride + self.steps - length
        self.encoder, self.norm = nn.Linear(2 * self.steps, width), nn.LayerNorm(width)
        self.places = nn.Parameter(torch.randn(patches, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, False) for _ in range(layers))

    def forward(self, x, window):
        x = functional.pad(x[:, :, :2], (0, 0, self.missing, 0)).unfold(1, self.steps, self.stride)
        x = self.encoder(x.flatten(2)) + self.places
        for block in self.blocks:
            x = block(x)
        return self.norm(x).flatten(1)


KINDS = {"tcn": TCN, "transformer": Transformer, "patchtst": PatchTST}


def answer(request):
    torch.set_num_threads(request["threads"])
    model = KINDS[request["kind"]](request["inputs"], request["width"], request["length"], request["layers"])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    x = torch.randn(request["batch"], request["length"], request["inputs"])

    def body():
        optimiser.zero_grad(set_to_none=True)
        model(x, request["mode"] == "window").square().mean().backward()
        optimiser.step()

    body()
    best, end = float("inf"), time.perf_counter() + request["seconds"]
    while True:
        began = time.perf_counter()
        body()
        best = min(best, time.perf_counter() - began)
        if time.perf_counter() >= end:
            return best * 1e3


for line in sys.stdin:
    print(json.dumps({"milliseconds": answer(json.loads(line))}), flush=True)
