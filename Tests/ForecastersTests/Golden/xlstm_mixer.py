#!/usr/bin/env python3
"""A small xLSTM-Mixer written out step by step: parameters, windows, and the raw numbers that come of them.

Written from the paper (arXiv:2410.16928) and that of the sLSTM (arXiv:2405.04517); double precision.
Writes xlstm_mixer.json beside itself. Run: python3 xlstm_mixer.py   (needs numpy)
"""

import json
import math
import pathlib

import numpy as np

T, B, F, H, Q, D, heads, M, blocks = 12, 3, 5, 4, 3, 8, 2, 2, 2
inner = math.ceil(4 / 3 * D / 8) * 8
part = D // heads
random = np.random.default_rng(5)
shapes = {
    "linear.weight": (T, H), "linear.bias": (H,), "embedding.weight": (H, D), "embedding.bias": (D,),
    "memory_tokens": (M, D), "norm_gain": (D,), "views.weight": (2 * D, H * Q),
}
for i in range(blocks):
    shapes |= {
        f"block.{i}.norm_gain": (D,), f"block.{i}.gate_weight": (4, heads, part, part),
        f"block.{i}.recurrent_weight": (heads, part, 4 * part), f"block.{i}.bias": (4 * D,),
        f"block.{i}.head_norm_gain": (D,), f"block.{i}.network_norm_gain": (D,),
        f"block.{i}.up_gate_weight": (D, inner), f"block.{i}.up_weight": (D, inner),
        f"block.{i}.down_weight": (inner, D),
    }
p = {name: random.normal(size=shape) * 0.5 + ("gain" in name) for name, shape in shapes.items()}
windows = random.normal(size=(B, T, F))


def norm(x, gain, groups=1):
    parts = x.reshape(groups, -1)
    parts = (parts - parts.mean(1, keepdims=True)) / np.sqrt(parts.var(1, keepdims=True) + 1e-5)
    return parts.reshape(-1) * gain


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x * 0.5 * (1 + np.array([math.erf(v / math.sqrt(2)) for v in x]))


def block(i, tokens):
    name = f"block.{i}."
    h, c, n, results = np.zeros(D), np.zeros(D), np.zeros(D), []
    for x in tokens:
        u = norm(x, p[name + "norm_gain"])
        sums = p[name + "bias"].reshape(4, D).copy()
        for head in range(heads):
            own = slice(head * part, (head + 1) * part)
            for gate in range(4):
                sums[gate, own] += u[own] @ p[name + "gate_weight"][gate, head]
                sums[gate, own] += h[own] @ p[name + "recurrent_weight"][head][:, gate * part:(gate + 1) * part]
        i_, f, z, o = np.exp(sums[0]), sigmoid(sums[1]), np.tanh(sums[2]), sigmoid(sums[3])
        c, n = f * c + i_ * z, f * n + i_
        h = o * c / n
        y = x + norm(h, p[name + "head_norm_gain"], heads)
        v = norm(y, p[name + "network_norm_gain"])
        up = gelu(v @ p[name + "up_gate_weight"]) * (v @ p[name + "up_weight"])
        results.append(y + up @ p[name + "down_weight"])
    return results


def view(tokens):
    for i in range(blocks):
        tokens = block(i, tokens)
    return norm(tokens[-1], p["norm_gain"])


raw = []
for window in windows:
    variates = [window[:, k] for k in [*range(1, F), 0]]  # the values come last
    forecasts = [(v - v[-1]) @ p["linear.weight"] + p["linear.bias"] + v[-1] for v in variates]
    tokens = list(p["memory_tokens"]) + [f @ p["embedding.weight"] + p["embedding.bias"] for f in forecasts]
    both = np.concatenate([view(tokens), view([t[::-1] for t in tokens])])
    raw.append((both @ p["views.weight"]).tolist())

json.dump(
    {"numpy": np.__version__, "contextLength": T, "horizon": H, "quantiles": Q, "hidden": D, "heads": heads,
     "memoryTokens": M, "layers": blocks, "inputs": F,
     "parameters": {name: values.flatten().tolist() for name, values in p.items()},
     "windows": windows.tolist(), "raw": raw},
    open(pathlib.Path(__file__).parent / "xlstm_mixer.json", "w"))
