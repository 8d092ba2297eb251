"""Makes pararnn_gru.json and pararnn_lstm.json: python3 pararnn.py, Python 3.11, no packages.

Scalar loops over the equations of DiagonalCell; gradients by the complex step (Squire & Trapp 1998),
which has no difference to cancel: the imaginary part of a loss at x + 1e-30 i, over 1e-30.
"""
import cmath
import json
import random
import sys

STEP = 1e-30


def sigmoid(x):
    return 1 / (1 + cmath.exp(-x))


def run(kind, B, T, D, H, w, inputs):
    def at(name, *index):
        tensor = w.get(name) or inputs[name]
        flat = 0
        for i, n in zip(index, tensor["shape"]):
            flat = flat * n + i
        return tensor["data"][flat]

    h_all = [[[0] * H for _ in range(T)] for _ in range(B)]
    c_all = [[[0] * H for _ in range(T)] for _ in range(B)]
    for b in range(B):
        for j in range(H):
            h = at("h0", b, j)
            c = at("c0", b, j) if kind == "lstm" else 0
            for t in range(T):
                u = [sum(at("W", g, j, d) * at("x", b, t, d) for d in range(D)) + at("b", g, j)
                     for g in range(3)]
                if kind == "gru":
                    z = sigmoid(u[0] + at("a", 0, j) * h)
                    r = sigmoid(u[1] + at("a", 1, j) * h)
                    n = cmath.tanh(u[2] + at("a", 2, j) * (r * h))
                    h = (1 - z) * h + z * n
                else:
                    f = sigmoid(u[0] + at("a", 0, j) * h + at("p", 0, j) * c)
                    g = cmath.tanh(u[2] + at("a", 2, j) * h)
                    c = f * c + (1 - f) * g
                    o = sigmoid(u[1] + at("a", 1, j) * h + at("p", 1, j) * c)
                    h = o * cmath.tanh(c)
                h_all[b][t][j] = h
                c_all[b][t][j] = c
    loss = sum(h * h for row in h_all for step in row for h in step) / (B * T * H)
    return h_all, c_all, loss


def tensor(shape, numbers):
    return {"shape": list(shape), "data": numbers}


def make(kind, B, T, D, H, seed):
    stream = random.Random(seed)

    def normal(*shape, scale=1.0):
        count = 1
        for n in shape:
            count *= n
        return tensor(shape, [scale * stream.gauss(0, 1) for _ in range(count)])

    weights = {"W": normal(3, H, D, scale=0.7), "a": normal(3, H, scale=0.8), "b": normal(3, H, scale=0.5)}
    inputs = {"x": normal(B, T, D), "h0": normal(B, H, scale=0.5)}
    if kind == "lstm":
        weights["p"] = normal(2, H, scale=0.6)
        inputs["c0"] = normal(B, H, scale=0.5)
    h, c, loss = run(kind, B, T, D, H, weights, inputs)
    grads = {}
    for group in (weights, inputs):
        for name, operand in group.items():
            gradient = []
            for k, value in enumerate(operand["data"]):
                operand["data"][k] = complex(value, STEP)
                gradient.append(run(kind, B, T, D, H, weights, inputs)[2].imag / STEP)
                operand["data"][k] = value
            grads[name] = tensor(operand["shape"], gradient)

    def flat(states):
        return tensor([B, T, H], [x.real for row in states for step in row for x in step])

    def last(states):
        return tensor([B, H], [x.real for row in states for x in row[-1]])

    outputs, final = {"h": flat(h)}, {"h": last(h)}
    if kind == "lstm":
        outputs["c"], final["c"] = flat(c), last(c)
    gates = "z, r, n" if kind == "gru" else "f, o, g"
    model = {
        "gru": "z,r = sigmoid(W x + a*h + b); n = tanh(W_n x + a_n*(r*h) + b_n); h_t = (1-z)*h_{t-1} + z*n",
        "lstm": "f = sigmoid(W_f x + a_f*h + p_f*c_{t-1} + b_f); g = tanh(W_g x + a_g*h + b_g); "
                "c_t = f*c_{t-1} + (1-f)*g; o = sigmoid(W_o x + a_o*h + p_o*c_t + b_o); h_t = o*tanh(c_t)",
    }[kind]
    layout = {"W": f"[3, H, D], gates {gates}", "a": f"[3, H], diagonal, gates {gates}", "b": "[3, H]",
              "p": "[2, H], peepholes of f, o", "x": "[B, T, D]", "h, c": "[B, T, H]"}
    return {
        "name": f"pararnn_{kind}", "model": "ParaRNN: " + model, "layout": layout, "seed": seed,
        "reference": "scalar loops, gradients by the complex step; pararnn.py",
        "sizes": {"B": B, "T": T, "D": D, "H": H}, "weights": weights, "inputs": inputs, "outputs": outputs,
        "state": {"final": final}, "loss": loss.real, "grads": grads,
        "tolerance": {
            "f64": {"forward": {"rel": 1e-12, "abs": 1e-15}, "grad": {"rel": 1e-11, "abs": 1e-15}},
            "f32": {"forward": {"rel": 1e-5, "abs": 1e-8}, "grad": {"rel": 5e-5, "abs": 1e-8}},
        },
    }


folder = sys.argv[1] if len(sys.argv) > 1 else "."
for case in (make("gru", 2, 12, 3, 5, seed=31), make("lstm", 2, 12, 2, 5, seed=32)):
    with open(f"{folder}/{case['name']}.json", "w") as file:
        json.dump(case, file)
