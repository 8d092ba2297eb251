#!/usr/bin/env python3
"""Golden values of optimisers, schedules and clipping by torch.optim: writes optimisers.json beside itself.

Run: python3 optimisers.py   (needs torch; the file names the version that made it)
"""

import json
import math
import pathlib

import torch

COUNT, STEPS = 11, 14


def gradients(step):
    # Of different sizes and signs, and different at every step.
    return [math.sin(1.7 * k + 0.9 * step) * 10 ** ((k % 5) - 2) for k in range(COUNT)]


def run(optimiser, **options):
    start = [math.cos(0.6 * k) * (1 + k % 3) for k in range(COUNT)]
    p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    rule = optimiser([p], **options)
    after = []
    for step in range(STEPS):
        p.grad = torch.tensor(gradients(step), dtype=torch.float64)
        rule.step()
        after.append(p.detach().tolist())
    return {"start": start, "after": after}


def rates(make, steps, lr=0.3):
    p = torch.zeros(1, requires_grad=True)
    rule = torch.optim.SGD([p], lr=lr, momentum=0.9)
    schedule = make(rule)
    seen = []
    for _ in range(steps):
        seen.append(rule.param_groups[0]["lr"])
        rule.step()
        schedule.step()
    return seen


def clipped(norm, value):
    g = torch.tensor(gradients(3), dtype=torch.float64)
    p = torch.zeros(COUNT, dtype=torch.float64, requires_grad=True)
    p.grad = g.clone()
    if value:
        torch.nn.utils.clip_grad_value_([p], value)
    if norm:
        torch.nn.utils.clip_grad_norm_([p], norm)
    return {"norm": norm, "value": value, "gradient": g.tolist(), "clipped": p.grad.tolist()}


optim = torch.optim
one_cycle = lambda total, start: lambda rule: optim.lr_scheduler.OneCycleLR(
    rule, max_lr=0.3, total_steps=total, pct_start=start)
golden = {
    "torch": torch.__version__,
    "gradients": [gradients(step) for step in range(STEPS)],
    "optimisers": [
        {"kind": "adam", "rate": 0.03, **run(optim.Adam, lr=0.03)},
        {"kind": "adam", "rate": 0.03, "weightDecay": 0.1,
         **run(optim.Adam, lr=0.03, weight_decay=0.1)},
        {"kind": "adamw", "rate": 0.03, "weightDecay": 0.1,
         **run(optim.AdamW, lr=0.03, weight_decay=0.1)},
        {"kind": "radam", "rate": 0.03, **run(optim.RAdam, lr=0.03)},
        {"kind": "radam", "rate": 0.03, "weightDecay": 0.1,
         **run(optim.RAdam, lr=0.03, weight_decay=0.1)},
        {"kind": "sgd", "rate": 0.01, "momentum": 0, **run(optim.SGD, lr=0.01)},
        {"kind": "sgd", "rate": 0.01, "momentum": 0.9, "weightDecay": 0.1,
         **run(optim.SGD, lr=0.01, momentum=0.9, weight_decay=0.1)},
        {"kind": "sgd", "rate": 0.01, "momentum": 0.8, "nesterov": True,
         **run(optim.SGD, lr=0.01, momentum=0.8, nesterov=True)},
        {"kind": "adagrad", "rate": 0.1, **run(optim.Adagrad, lr=0.1)},
        {"kind": "adagrad", "rate": 0.1, "weightDecay": 0.1,
         **run(optim.Adagrad, lr=0.1, weight_decay=0.1)},
    ],
    "schedules": [
        {"kind": "one-cycle", "peak": 0.3, "steps": 40, "warmup": 12,
         "rates": rates(one_cycle(40, 0.3), 40)},
        {"kind": "one-cycle", "peak": 0.3, "steps": 20, "warmup": 10,
         "rates": rates(one_cycle(20, 0.5), 20)},
        {"kind": "step", "peak": 0.3, "steps": 20, "gamma": 0.4, "stepSize": 6,
         "rates": rates(lambda r: optim.lr_scheduler.StepLR(r, step_size=6, gamma=0.4), 20)},
        {"kind": "linear", "peak": 0.3, "steps": 20, "warmup": 0,
         "rates": rates(lambda r: optim.lr_scheduler.LinearLR(r, 1.0, 0.0, total_iters=20), 20)},
        {"kind": "cosine", "peak": 0.3, "steps": 20, "warmup": 0,
         "rates": rates(lambda r: optim.lr_scheduler.CosineAnnealingLR(r, T_max=20), 20)},
        {"kind": "constant", "peak": 0.3, "steps": 9, "warmup": 4,
         "rates": rates(lambda r: optim.lr_scheduler.LinearLR(r, 0.25, 1.0, total_iters=3), 9)},
    ],
    "clipping": [clipped(2.5, 0), clipped(0, 0.7), clipped(2.5, 3.0), clipped(1e6, 0)],
}
path = pathlib.Path(__file__).with_name("optimisers.json")
path.write_text(json.dumps(golden) + "\n")
