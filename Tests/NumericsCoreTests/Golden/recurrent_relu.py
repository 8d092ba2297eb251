"""Writes lstm_relu.json and gru_relu.json: cells with max(0, .) in place of tanh, as Keras makes them with
activation="relu" (PyTorch has none). Step by step in double precision, gradients by PyTorch's autograd; steps, widths and
layouts as in lstm_1layer.json and gru_reset_after.json.

    python recurrent_relu.py            (made with torch 2.15.0)
"""

import json
import pathlib

import torch

torch.manual_seed(31)
B, T, D, H = 3, 7, 3, 5
rectified = []


def relu(x):
    rectified.append((x > 0).double().mean().item())
    return torch.relu(x)


def leaf(*shape, scale=0.6):
    return (torch.randn(*shape, dtype=torch.float64) * scale).requires_grad_()


def tensor(value):
    value = value.detach()
    return {"shape": list(value.shape), "data": value.reshape(-1).tolist()}


def write(name, model, gates, step, states):
    leaves = {
        "x": leaf(B, T, D, scale=1.0), "W_ih_l0": leaf(gates * H, D), "W_hh_l0": leaf(gates * H, H),
        "b_ih_l0": leaf(gates * H), "b_hh_l0": leaf(gates * H),
        **{f"{state}0": leaf(1, B, H, scale=0.5) for state in states},
    }
    state = [leaves[f"{name}0"][0] for name in states]
    outputs = []
    for t in range(T):
        inner = leaves["x"][:, t] @ leaves["W_ih_l0"].T + leaves["b_ih_l0"]
        outer = state[0] @ leaves["W_hh_l0"].T + leaves["b_hh_l0"]
        state = step(inner.chunk(gates, 1), outer.chunk(gates, 1), state)
        outputs.append(state[0])
    y = torch.stack(outputs, 1)
    loss = y.square().mean()
    loss.backward()
    assert 0.1 < sum(rectified) / len(rectified) < 0.9, "both sides of the kink are to be there"
    rectified.clear()
    inputs = ["x"] + [f"{state}0" for state in states]
    json.dump({
        "name": name, "model": model, "reference": "equations step by step in float64 (torch autograd)",
        "sizes": {"B": B, "T": T, "D": D, "H": H, "layers": 1, "directions": 1},
        "weights": {key: tensor(leaves[key]) for key in leaves if key not in inputs},
        "inputs": {key: tensor(leaves[key]) for key in inputs},
        "outputs": {"y": tensor(y)},
        "state": {"final": {f"{key}_n": tensor(value[None]) for key, value in zip(states, state)}},
        "loss": loss.item(),
        "grads": {key: tensor(value.grad) for key, value in leaves.items()},
        "tolerance": {
            "f64": {"forward": {"rel": 1e-12, "abs": 1e-15}, "grad": {"rel": 1e-11, "abs": 1e-15}},
            "f32": {"forward": {"rel": 1e-5, "abs": 1e-8}, "grad": {"rel": 5e-5, "abs": 1e-8}}},
    }, open(pathlib.Path(__file__).with_name(f"{name}.json"), "w"))


def lstm(inner, outer, state):
    i, f, g, o = (a + b for a, b in zip(inner, outer))
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * relu(g)
    return [torch.sigmoid(o) * relu(c), c]


def gru(inner, outer, state):
    r, z = (torch.sigmoid(a + b) for a, b in zip(inner[:2], outer[:2]))
    n = relu(inner[2] + r * outer[2])
    return [(1 - z) * n + z * state[0]]


write("lstm_relu", "i,f,o = sigmoid, g = max(0, .) of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh; "
      "c_t = f*c_{t-1} + i*g; h_t = o*max(0, c_t)", 4, lstm, ["h", "c"])
write("gru_relu", "r,z = sigmoid(W x + b_i + U h + b_h); n = max(0, W_n x + b_in + r*(U_n h + b_hn)); "
      "h_t = (1-z)*n + z*h_{t-1}", 3, gru, ["h"])
