#!/usr/bin/env python3
"""State dicts of recurrent layers of torch as safetensors files, and what torch computes with them.

Writes pytorch_*.safetensors and pytorch_recurrent.json beside itself. The safetensors format is written by
hand, so that our reader is not tested against our writer.
Run: python3 pytorch_recurrent.py   (needs torch; the JSON names the version that made it)
"""

import json
import pathlib
import struct

import torch

HERE = pathlib.Path(__file__).parent
TYPES = {torch.float64: ("F64", "d"), torch.float32: ("F32", "f")}


def save(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        values = tensor.detach().contiguous()
        if values.dtype in TYPES:
            kind, code = TYPES[values.dtype]
            raw = struct.pack(f"<{values.numel()}{code}", *values.flatten().tolist())
        else:  # halves, bit by bit
            kind = {torch.float16: "F16", torch.bfloat16: "BF16"}[values.dtype]
            bits = values.flatten().view(torch.int16).tolist()
            raw = struct.pack(f"<{len(bits)}h", *bits)
        header[name] = {"dtype": kind, "shape": list(values.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def case(name, layer, kind, dtype, prefix="", extra=()):
    torch.manual_seed(len(name) + layer.hidden_size)
    layer = layer.to(dtype)
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.4)
    steps, batch = 5, 2
    x = torch.randn(steps, batch, layer.input_size, dtype=dtype)
    y, _ = layer(x)
    tensors = {prefix + key: value for key, value in layer.state_dict().items()}
    for key in extra:
        tensors[key] = torch.ones(3, dtype=dtype)
    save(HERE / f"pytorch_{name}.safetensors", tensors)
    return {
        "file": f"pytorch_{name}.safetensors", "kind": kind, "double": dtype == torch.float64,
        "prefix": prefix, "inputs": layer.input_size, "hidden": layer.hidden_size,
        "layers": layer.num_layers, "steps": steps, "batch": batch,
        "x": x.flatten().tolist(), "y": y.detach().flatten().tolist(),
    }


nn = torch.nn
cases = []
for dtype, mark in ((torch.float64, "f64"), (torch.float32, "f32")):
    cases += [
        case(f"lstm_{mark}", nn.LSTM(3, 4, num_layers=2), "lstm", dtype),
        case(f"gru_{mark}", nn.GRU(2, 5, num_layers=2), "gru", dtype, prefix="model.encoder.",
             extra=["model.head.weight"]),
        case(f"rnn_tanh_{mark}", nn.RNN(3, 4, num_layers=3), "elman", dtype),
        case(f"rnn_relu_{mark}", nn.RNN(3, 4, nonlinearity="relu"), "elmanReLU", dtype),
        case(f"lstm_no_bias_{mark}", nn.LSTM(2, 3, bias=False), "lstm", dtype),
    ]
bidirectional = nn.LSTM(2, 2, bidirectional=True)
save(HERE / "pytorch_bidirectional.safetensors", bidirectional.state_dict())
save(HERE / "pytorch_projection.safetensors", nn.LSTM(2, 3, proj_size=2).state_dict())
halves = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, 1e-5, 0.333251953125, float("inf")])
save(HERE / "halves.safetensors",
     {"f16": halves.to(torch.float16), "bf16": halves.to(torch.bfloat16)})
json.dump(
    {"torch": torch.__version__, "cases": cases,
     "f16": [str(v) for v in halves.to(torch.float16).tolist()],
     "bf16": [str(v) for v in halves.to(torch.bfloat16).tolist()]},
    open(HERE / "pytorch_recurrent.json", "w"))
