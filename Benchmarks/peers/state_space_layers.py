"""State-space layers in PyTorch, for comparison: requests on standard input, one JSON object a line, as for
layers.py: mode (train, infer, stream), kind (mamba, mamba2, s4d), batch, length, width, layers, threads, seconds.

Mamba is mambapy's: its parallel scan to train, its step to stream. S4D is written out here as in the paper
(Gu et al. 2022): zero-order hold, state 64, kernel by powers, convolution by FFT, GELU and a gated linear
output; a step is the recurrence with all constants worked out before. Mamba-2 is written out too (Dao & Gu 2024): one
product for all inputs, a convolution, state-space duality in chunks of 64 by batched products, a gated norm; heads of 64
channels with 64 states. Blocks have a norm before them and a
residual around them. Training is forward, backward and fused Adam; denormals are flushed.
"""

import json
import math
import sys
import time

import torch
from mambapy.mamba import Mamba, MambaConfig

torch.set_flush_denormal(True)


class S4DBlock(torch.nn.Module):
    def __init__(self, width, state=64):
        super().__init__()
        modes = state // 2
        self.norm = torch.nn.LayerNorm(width)
        self.log_dt = torch.nn.Parameter(
            torch.rand(width) * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
        self.log_decay = torch.nn.Parameter(torch.log(0.5 * torch.ones(width, modes)))
        self.frequency = torch.nn.Parameter(math.pi * torch.arange(modes).float().repeat(width, 1))
        self.c = torch.nn.Parameter(torch.view_as_real(torch.randn(width, modes, dtype=torch.cfloat)))
        self.skip = torch.nn.Parameter(torch.randn(width))
        self.out = torch.nn.Linear(width, 2 * width)

    def discretised(self):
        a = torch.complex(-torch.exp(self.log_decay), self.frequency)
        dt_a = a * torch.exp(self.log_dt)[:, None]
        return dt_a, (torch.exp(dt_a) - 1) / a

    def mix(self, y):
        return torch.nn.functional.glu(self.out(torch.nn.functional.gelu(y)), dim=-1)

    def forward(self, x):
        u = self.norm(x)
        length = u.shape[1]
        dt_a, b = self.discretised()
        powers = torch.exp(dt_a[:, :, None] * torch.arange(length))
        kernel = 2 * torch.einsum("hn,hnl->hl", torch.view_as_complex(self.c) * b, powers).real
        spectrum = torch.fft.rfft(kernel, n=2 * length).T
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length, dim=1) * spectrum, n=2 * length, dim=1)
        return x + self.mix(y[:, :length] + u * self.skip)

    def prepare(self):
        dt_a, b = self.discretised()
        self.a_bar, self.b_bar, self.c_twice = torch.exp(dt_a), b, 2 * torch.view_as_complex(self.c)
        self.state = torch.zeros(1, *dt_a.shape, dtype=torch.cfloat)

    def step(self, x):
        u = self.norm(x)
        self.state = self.a_bar * self.state + self.b_bar * u[..., None]
        return x + self.mix((self.c_twice * self.state).sum(-1).real + u * self.skip)


class Mamba2Block(torch.nn.Module):
    def __init__(self, width, states=64, expansion=2, head=64, chunk=64):
        super().__init__()
        self.inner, self.states, self.head, self.chunk = expansion * width, states, head, chunk
        self.heads = self.inner // head
        mixed = self.inner + 2 * states
        self.norm = torch.nn.RMSNorm(width, eps=1e-6)
        self.project = torch.nn.Linear(width, self.inner + mixed + self.heads, bias=False)
        self.conv = torch.nn.Conv1d(mixed, mixed, 4, groups=mixed, padding=3)
        self.log_a = torch.nn.Parameter(torch.log(1 + 15 * torch.rand(self.heads)))
        self.dt_bias = torch.nn.Parameter(torch.log(torch.expm1(torch.exp(
            torch.rand(self.heads) * (math.log(0.1) - math.log(0.001)) + math.log(0.001)))))
        self.skip = torch.nn.Parameter(torch.ones(self.heads))
        self.inner_norm = torch.nn.RMSNorm(self.inner, eps=1e-5)
        self.out = torch.nn.Linear(self.inner, width, bias=False)
        self.register_buffer("lower", torch.ones(chunk, chunk, dtype=torch.bool).tril())

    def parts(self, u):
        mixed = self.inner + 2 * self.states
        return self.project(u).split([self.inner, mixed, self.heads], dim=-1)

    def finish(self, x, y, z):
        return x + self.out(self.inner_norm(y * torch.nn.functional.silu(z)))

    def forward(self, x):
        batch, length, _ = x.shape
        z, mixed, dt = self.parts(self.norm(x))
        mixed = torch.nn.functional.silu(self.conv(mixed.transpose(1, 2))[..., :length].transpose(1, 2))
        u, b, c = mixed.split([self.inner, self.states, self.states], dim=-1)
        dt = torch.nn.functional.softplus(dt + self.dt_bias)
        pad = -length % self.chunk
        if pad:
            u, b, c, dt = [torch.nn.functional.pad(t, (0, 0, 0, pad)) for t in (u, b, c, dt)]
        chunks = (length + pad) // self.chunk
        heads = u.reshape(batch, chunks, self.chunk, self.heads, self.head)
        b = b.reshape(batch, chunks, 1, self.chunk, self.states)
        c = c.reshape(batch, chunks, 1, self.chunk, self.states)
        dt = dt.reshape(batch, chunks, self.chunk, self.heads).transpose(2, 3)
        v = heads.transpose(2, 3) * dt[..., None]
        total = torch.cumsum(-torch.exp(self.log_a)[:, None] * dt, dim=-1)
        decay = torch.exp((total[..., :, None] - total[..., None, :]).masked_fill(~self.lower, -torch.inf))
        y = ((c @ b.transpose(-1, -2)) * decay) @ v
        added = (b * torch.exp(total[..., -1:] - total)[..., None]).transpose(-1, -2) @ v
        state, states = torch.zeros_like(added[:, 0]), []
        for k in range(chunks):
            states.append(state)
            state = state * torch.exp(total[:, k, :, -1])[..., None, None] + added[:, k]
        y = y + (c * torch.exp(total)[..., None]) @ torch.stack(states, dim=1)
        y = y.transpose(2, 3) + heads * self.skip[:, None]
        return self.finish(x, y.reshape(batch, -1, self.inner)[:, :length], z)

    def prepare(self):
        self.state = torch.zeros(1, self.heads, self.states, self.head)
        self.past = torch.zeros(1, self.inner + 2 * self.states, 4)
        self.rate = -torch.exp(self.log_a)

    def step(self, x):
        z, mixed, dt = self.parts(self.norm(x))
        self.past = torch.cat([self.past[..., 1:], mixed[..., None]], dim=-1)
        mixed = torch.nn.functional.silu((self.past * self.conv.weight[:, 0]).sum(-1) + self.conv.bias)
        u, b, c = mixed.split([self.inner, self.states, self.states], dim=-1)
        u = u.reshape(1, self.heads, 1, self.head)
        dt = torch.nn.functional.softplus(dt + self.dt_bias)
        self.state = self.state * torch.exp(dt * self.rate)[..., None, None] + (
            b[:, None, :, None] * (dt[..., None, None] * u))
        y = (c[:, None, None] @ self.state)[:, :, 0] + u[:, :, 0] * self.skip[:, None]
        return self.finish(x, y.reshape(1, self.inner), z)


def best_milliseconds(seconds, body):
    """The least wall-clock and processor time of a call."""
    body()
    body()
    best = cpu = float("inf")
    end = time.perf_counter() + seconds
    while True:
        began, spent = time.perf_counter(), time.process_time()
        body()
        best, cpu = min(best, time.perf_counter() - began), min(cpu, time.process_time() - spent)
        if time.perf_counter() >= end:
            return best * 1e3, cpu * 1e3


def model_of(request):
    width, layers = request["width"], request.get("layers", 1)
    if request["kind"] == "mamba":
        return Mamba(MambaConfig(d_model=width, n_layers=layers))
    block = Mamba2Block if request["kind"] == "mamba2" else S4DBlock
    return torch.nn.Sequential(*[block(width) for _ in range(layers)])


def stream(request, model):
    x = torch.randn(1, request["width"])
    if request["kind"] == "mamba":
        config = model.config
        caches = [(None, torch.zeros(1, config.d_inner, config.d_conv - 1)) for _ in model.layers]

        def body():
            nonlocal caches
            with torch.inference_mode():
                for _ in range(20):
                    _, caches = model.step(x, caches)
    else:
        for block in model:
            block.prepare()

        def body():
            with torch.inference_mode():
                for _ in range(20):
                    y = x
                    for block in model:
                        y = block.step(y)
    return body


def sequence(request, model):
    x = torch.randn(request["batch"], request["length"], request["width"])
    if request["mode"] == "infer":

        def body():
            with torch.inference_mode():
                model(x)
    else:
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

        def body():
            optimiser.zero_grad(set_to_none=True)
            model(x).square().mean().backward()
            optimiser.step()
    return body


def answer(request):
    torch.set_num_threads(request["threads"])
    model = model_of(request)
    if request["mode"] == "stream":
        with torch.no_grad():
            times = [time / 20 for time in best_milliseconds(request["seconds"], stream(request, model.eval()))]
    else:
        times = best_milliseconds(request["seconds"], sequence(request, model))
    return {"milliseconds": times[0], "cpuMilliseconds": times[1], "version": torch.__version__}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
