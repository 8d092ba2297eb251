"""PyTorch's side of Benchmarks/layers: requests on standard input, one JSON object a line.

Training is forward, backward and fused Adam; denormals are flushed; every request is measured with oneDNN
on and off and in both layouts, and the best counts.
"""

import json
import sys
import time

import warnings

import torch

warnings.filterwarnings("ignore")
torch.set_flush_denormal(True)
MODULES = {"elman": "RNN", "lstm": "LSTM", "gru": "GRU"}


def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


def best_milliseconds(seconds, body):
    body()
    body()
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        body()
        best = min(best, time.perf_counter() - began)
    return best * 1e3


def sequence(request, batch_first):
    B, T, F, D = (request[key] for key in ("batch", "length", "inputs", "width"))
    layer = getattr(torch.nn, MODULES[request["kind"]])(F, D, request["layers"], batch_first=batch_first)
    x = torch.randn((B, T, F) if batch_first else (T, B, F))
    if request["mode"] == "infer":
        layer.eval()

        def body():
            with torch.inference_mode():
                layer(x)
    else:
        optimiser = torch.optim.Adam(layer.parameters(), lr=1e-4, fused=True)

        def body():
            optimiser.zero_grad(set_to_none=True)
            y, _ = layer(x)
            y.square().mean().backward()
            optimiser.step()
    return body


def stream(request, cell):
    F, D = request["inputs"], request["width"]
    name = MODULES[request["kind"]]
    with torch.inference_mode():
        if cell:
            module, x = getattr(torch.nn, name + "Cell")(F, D), torch.randn(1, F)
            state = module(x)
        else:
            module, x = getattr(torch.nn, name)(F, D), torch.randn(1, 1, F)
            state = module(x)[1]

    def body():
        with torch.inference_mode():
            for _ in range(100):
                module(x, state)
    return body


def answer(request):
    torch.set_num_threads(request["threads"])
    seconds = request["seconds"]
    before, grown = status("VmRSS"), 0.0
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    times = []
    for onednn in (True, False):
        for flag in (True, False):
            with torch.backends.mkldnn.flags(enabled=onednn):
                if request["mode"] == "stream":
                    times.append(best_milliseconds(seconds / 4, stream(request, flag)) / 100)
                else:
                    times.append(best_milliseconds(seconds / 4, sequence(request, flag)))
            if len(times) == 1:  # memory of one setting only
                grown = max(0.0, status("VmHWM") - before)
    return {"milliseconds": min(times), "grownMB": grown, "version": torch.__version__}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
