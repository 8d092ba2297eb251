#!/usr/bin/env python3
"""A small TiRex with random weights as a checkpoint, and what the package tirex-ts forecasts with it.

Writes tirex.ckpt, tirex_hostile.ckpt and tirex.json beside itself. Forecasts are made twice: as the package does it on a
CPU, with the cell in bfloat16, and with the same code in single precision throughout.
Run: python3 tirex_checkpoint.py   (needs tirex-ts; the JSON names the versions that made it)
"""

import importlib.metadata
import json
import math
import pathlib
from collections import OrderedDict

import torch
from tirex.models.slstm.cell import sLSTMCell
from tirex.models.tirex import TiRexZero

HERE = pathlib.Path(__file__).parent
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
PATCH, CONTEXT = 4, 32
hyper_parameters = {
    "model_config": {
        "input_patch_size": PATCH, "output_patch_size": PATCH, "quantiles": LEVELS,
        "block_kwargs": {"embedding_dim": 16, "num_heads": 2, "num_blocks": 2, "ffn_proj_factor": 2.6667},
        "input_ff_dim": 12,
    },
    "train_ctx_len": CONTEXT,
}


def single(cell, x, state):
    """The cell in the precision of its weights."""
    x = x.reshape(x.shape[0], x.shape[1], -1)
    c = cell.config
    bias = cell._bias_.reshape(c.num_heads, c.num_gates, c.head_dim).permute(1, 0, 2).reshape(-1)
    return cell._impl_forward_torch(x, state, cell._recurrent_kernel_, bias)


torch.manual_seed(7)
model = TiRexZero(backend="torch", **hyper_parameters)
with torch.no_grad():
    for name, p in model.named_parameters():
        p.normal_(std=1 / math.sqrt(p.shape[-1]) if p.ndim > 1 else 0.3)
        if "norm" in name and "group" not in name:
            p.add_(1)
        if "_bias_" in name:  # forget biases such that the state lasts
            p.view(2, 4, 8)[:, 1] += 2

state = OrderedDict(
    (name.replace("blocks.", "block_stack.blocks.") if name.startswith("blocks.") else name, value)
    for name, value in model.state_dict().items())
torch.save(
    {"epoch": 3, "global_step": 100, "pytorch-lightning_version": "2.5.0", "state_dict": state,
     "hyper_parameters": hyper_parameters, "loops": None, "lr_schedulers": [], "wide": -(2**40)},
    HERE / "tirex.ckpt")


class Hostile:
    def __reduce__(self):
        return (print, ("this must never be printed",))


torch.save({"state_dict": Hostile()}, HERE / "tirex_hostile.ckpt")

torch.manual_seed(11)


def wave(length, period, level=0.0, noise=0.2):
    t = torch.arange(length, dtype=torch.float64)
    return level + torch.sin(2 * math.pi * t / period) + noise * torch.randn(length, dtype=torch.float64)


gaps = wave(32, 8, level=5)
gaps[[3, 9, 10, 11, 12, 13, 14, 15, 16, 30]] = math.nan
series = {
    "whole context": wave(32, 7),
    "gaps": gaps,
    "longer than the context": wave(57, 12, level=-40) * 3,
    "short": wave(5, 3, level=100),
    "one value": torch.tensor([2.5], dtype=torch.float64),
    "constant": torch.full((20,), 3.25, dtype=torch.float64),
    "zeros": torch.zeros(20, dtype=torch.float64),
    "nothing observed": torch.full((9,), math.nan, dtype=torch.float64),
    "enormous level": wave(32, 8, level=1e6),
}


def rounded(tensor):
    return [float(f"{value:.8g}") for value in tensor.flatten().tolist()]


cases = []
bfloat = sLSTMCell._impl_torch
for horizon, steps in [(3, 1), (14, 1), (14, 4), (14, 3), (48, 100)]:
    case = {"horizon": horizon, "patches": steps, "single": {}, "bfloat": {}}
    for mode, forward in (("single", single), ("bfloat", bfloat)):
        sLSTMCell._impl_torch = forward
        for name, values in series.items():
            quantiles, mean = model.forecast(
                [values.to(torch.float32)], prediction_length=horizon, max_accelerated_rollout_steps=steps)
            case[mode][name] = {"quantiles": rounded(quantiles[0]), "mean": rounded(mean[0])}
    if horizon > 3:  # one case says how far the precisions are apart
        del case["bfloat"]
    cases.append(case)

json.dump(
    {"tirex-ts": importlib.metadata.version("tirex-ts"), "torch": torch.__version__, "levels": LEVELS,
     "series": {name: [None if math.isnan(v) else v for v in values.to(torch.float32).tolist()] for name, values in series.items()},
     "cases": cases},
    open(HERE / "tirex.json", "w"))
