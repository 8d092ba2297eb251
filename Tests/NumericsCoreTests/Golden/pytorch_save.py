#!/usr/bin/env python3
"""Files of torch.save, good ones and such that must be refused, and what the good ones hold.

Writes pytorch_save*.pt and pytorch_save.json beside itself.
Run: python3 pytorch_save.py   (needs torch; the JSON names the version that made it)
"""

import collections
import json
import pathlib
import pickle
import zipfile

import torch

HERE = pathlib.Path(__file__).parent
torch.manual_seed(3)
base = torch.randn(4, 6, dtype=torch.float64)
tensors = collections.OrderedDict(
    f64=base, f32=base.float(), f16=base.half(), bf16=base.bfloat16(),
    transposed=base.float().t(), slice=base.float()[1:3, 2:5], every_second=base.float()[:, ::2],
    number=torch.tensor(2.5), empty=torch.zeros(0, 3), row=base[2],
    parameter=torch.nn.Parameter(torch.arange(5.0)))
whole = collections.OrderedDict(
    i64=torch.tensor([[2**40, -7]]), i32=torch.tensor([3, -3], dtype=torch.int32),
    u8=torch.tensor([0, 255], dtype=torch.uint8), flag=torch.tensor([True, False]))
module = torch.nn.Linear(2, 3)
content = {
    "tensors": tensors, "whole": whole, "state_dict": module.state_dict(),
    "plain": {"none": None, "yes": True, "no": False, "small": 7, "byte": 255, "word": 65535, "negative": -1,
              "long": 2**40, "minus": -(2**40), "pi": 3.140625, "text": "größer", "list": [1, 2.5, "three", None],
              "tuple": (1, 2, 3, 4), "nested": {"a": {"b": [[1], 2]}}, "empty": [], 5: "five",
              "size": torch.Size([2, 3])},
}
torch.save(content, HERE / "pytorch_save.pt")
torch.save(content, HERE / "pytorch_save_4.pt", pickle_protocol=4)


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


for name, thing in {
    "system": Call(__import__("os").system, "true"), "eval": Call(eval, "1"), "object": Call(pathlib.PurePosixPath, "a"),
    "complex": 1j, "set": {1, 2}, "huge": 2**80,
}.items():
    torch.save({"x": thing}, HERE / f"pytorch_save_{name}.pt")
with zipfile.ZipFile(HERE / "pytorch_save_compressed.pt", "w", zipfile.ZIP_DEFLATED) as file:
    file.writestr("a/data.pkl", pickle.dumps({"x": list(range(100))}, 2))

expected = {name: {"shape": list(t.shape), "values": [float(v) for v in t.detach().flatten().tolist()]}
            for name, t in [*tensors.items(), *((f"state_dict.{k}", v) for k, v in module.state_dict().items())]}
json.dump({"torch": torch.__version__, "tensors": expected}, open(HERE / "pytorch_save.json", "w"))
