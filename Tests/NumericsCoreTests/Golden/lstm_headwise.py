"""Writes lstm_headwise.json: an LSTM with block-diagonal recurrent weights (FlashRNN, arXiv 2412.07752),
step by step in double precision, gradients by PyTorch's autograd.

    python lstm_headwise.py > lstm_headwise.json        (made with torch 2.13.0)
"""

import json

import torch

torch.manual_seed(20)
B, T, D, NH, DH = 2, 7, 3, 2, 3
H = NH * DH


def leaf(*shape, scale=0.6):
    return (torch.randn(*shape, dtype=torch.float64) * scale).requires_grad_()


x, W, R, b = leaf(B, T, D, scale=1.0), leaf(4, H, D), leaf(NH, 4, DH, DH), leaf(4, H)
y0, c0 = leaf(B, H, scale=0.5), leaf(B, H, scale=0.5)

y, c, outputs = y0, c0, []
for t in range(T):
    heads = y.reshape(B, NH, DH)
    gates = torch.einsum("ghd,bd->bgh", W, x[:, t]) + b
    recurrent = torch.einsum("ngoi,bni->bgno", R, heads).reshape(B, 4, H)
    i, f, g, o = (gates + recurrent).unbind(1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    y = torch.sigmoid(o) * torch.tanh(c)
    outputs.append(y)
whole = torch.stack(outputs, 1)
loss = whole.square().mean()
loss.backward()


def tensor(value):
    value = value.detach()
    return {"shape": list(value.shape), "data": value.reshape(-1).tolist()}


print(json.dumps({
    "name": "lstm_headwise",
    "model": "i, f, g, o = W x + R y + b, R block-diagonal; c' = s(f) c + s(i) tanh(g); y = s(o) tanh(c')",
    "sizes": {"B": B, "T": T, "D": D, "NH": NH, "DH": DH, "H": H},
    "layout": {"W": "[gate, out, in], gates i f g o", "R": "[head, gate, out, in]", "b": "[gate, out]"},
    "weights": {"W": tensor(W), "R": tensor(R), "b": tensor(b)},
    "inputs": {"x": tensor(x)},
    "outputs": {"y": tensor(whole)},
    "state": {"initial": {"y": tensor(y0), "c": tensor(c0)}, "final": {"y": tensor(y), "c": tensor(c)}},
    "loss": loss.item(),
    "grads": {"x": tensor(x.grad), "W": tensor(W.grad), "R": tensor(R.grad), "b": tensor(b.grad)},
    "tolerance": {
        "f64": {"forward": {"rel": 1e-12, "abs": 1e-15}, "grad": {"rel": 1e-11, "abs": 1e-15}},
        "f32": {"forward": {"rel": 1e-5, "abs": 1e-8}, "grad": {"rel": 5e-5, "abs": 1e-8}}},
}))
