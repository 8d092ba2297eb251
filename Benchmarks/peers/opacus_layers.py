"""Opacus' side of Benchmarks/private: requests on standard input, one JSON object a line.

A step is forward, backward from the mean square error of 24 outputs of the last state, and fused Adam. The ordinary
one has torch.nn's layer; the private one has Opacus' own (torch.nn's recurrent layers are refused by its validator), with
per-sample gradients by hooks, flat clipping and noise. The batch is the same in all steps.
"""

import json
import sys
import time
import warnings

import opacus
import torch
from opacus.layers import DPGRU, DPLSTM

warnings.filterwarnings("ignore")
torch.set_flush_denormal(True)
ORDINARY = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
PRIVATE = {"lstm": DPLSTM, "gru": DPGRU}
HORIZON = 24


def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


class Network(torch.nn.Module):
    def __init__(self, layer, inputs, width):
        super().__init__()
        self.layer = layer(inputs, width, batch_first=True)
        self.head = torch.nn.Linear(width, HORIZON)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


def make(request, private):
    B, T, F, D = (request[key] for key in ("batch", "length", "inputs", "width"))
    x, y = torch.randn(B, T, F), torch.ones(B, HORIZON)
    network = Network((PRIVATE if private else ORDINARY)[request["kind"]], F, D)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-6, fused=True)
    if private:
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=B)
        network, optimiser, _ = opacus.PrivacyEngine().make_private(
            module=network, optimizer=optimiser, data_loader=data, noise_multiplier=1.0, max_grad_norm=0.1,
            poisson_sampling=False, grad_sample_mode="hooks")
    loss = torch.nn.MSELoss()

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss(network(x), y).backward()
        optimiser.step()
    return step


def timed(step, best):
    began, used = time.perf_counter(), time.process_time()
    step()
    best["wall"] = min(best["wall"], (time.perf_counter() - began) * 1e3)
    best["cpu"] = min(best["cpu"], (time.process_time() - used) * 1e3)


def answer(request):
    torch.set_num_threads(request["threads"])
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    names = ["ordinary", "private"] if request["mode"] == "both" else [request["mode"]]
    steps = {name: make(request, name == "private") for name in names}
    times = {name: {"wall": float("inf"), "cpu": float("inf")} for name in names}
    for step in steps.values():
        step()
    end = time.perf_counter() + request["seconds"]
    while True:
        for name in names:
            timed(steps[name], times[name])
        if time.perf_counter() >= end:
            break
    return dict(times, grownMB=max(0.0, status("VmHWM") - before),
                versions=f"Opacus {opacus.__version__}, PyTorch {torch.__version__}")


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
