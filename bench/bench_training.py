"""Whole training steps: forward, loss, backward, update, and reading the loss, as a training loop does it.

Three nets: the classic 784-16-16-10 at batch 32 with SGD, where the price of a call decides; a convolutional net at
batch 64 with Adam, where arithmetic does; and 784-512-512-10 with Adam that has learned its data by heart. Its
gradients are denormal numbers, with which many CPUs (Intel's more than AMD's) compute very slowly unless they are
flushed: it is timed both ways; `fit` flushes. All libraries start from the same weights and see the same batches;
before anything is timed, the losses of the first steps must be those that float64 gives.
"""

from __future__ import annotations

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("torch", "jax", "sklearn")
STEPS = 6  # of which the losses are compared
BATCHES = 4
RATE = {"mlp": 0.1, "cnn": 1e-3, "learned": 1e-3}
SURE = 95.0  # the logit of the right class: the others' probabilities are e^-95, and denormal in float32
LAYERS = {
    "mlp": [(16, 784), (16,), (16, 16), (16,), (10, 16), (10,)],
    "cnn": [(32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (128, 3136), (128,), (10, 128), (10,)],
    "learned": [(512, 784), (512,), (512, 512), (512,), (10, 512), (10,)],
}
# Losses of the first steps, computed by PyTorch in float64 from the weights and batches below.
EXPECTED = {
    "mlp": [2.2985118, 2.2916886, 2.3357540, 2.3035247, 2.2936262, 2.2872271],
    "cnn": [2.3061221, 2.3212960, 2.3185388, 2.3230589, 2.2791719, 2.2885309],
    "learned": [0.0] * STEPS,
}
CASES = [
    Case("training", "step", "784-16-16-10, batch 32, SGD", {"net": "mlp", "batch": 32}, 1.0, "call",
         bars={"torch": 4.0, "jax": 1.5, "sklearn": 1.0}),
    Case("training", "step", "conv32-pool-conv64-pool-128-10, batch 64, Adam", {"net": "cnn", "batch": 64}, 1.0, "call",
         bars={"torch": 1.5, "torch channels_last": 1.5, "jax": 1.5}),
    Case("training", "step", "784-512-512-10 that knows its data, batch 32, Adam", {"net": "learned", "batch": 32}, 1.0,
         "call", bars={"torch": 1.0, "torch flushed": 1.0}),
]  # fmt: skip


def weights(net: str) -> list:
    """Return the initial parameters, in PyTorch's layouts: uniform in +-1 / sqrt(inputs), as PyTorch draws them."""
    rng, parameters = np.random.default_rng(1), []
    for weight, bias in zip(LAYERS[net][::2], LAYERS[net][1::2], strict=True):
        limit = 1 / np.sqrt(np.prod(weight[1:]))
        parameters += [rng.uniform(-limit, limit, shape).astype(np.float32) for shape in (weight, bias)]
    if net == "learned":
        parameters[-1][0] += np.float32(SURE)
    return parameters


def batches(case: Case) -> list:
    """Return a few batches (x, y) that look like digits: a fifth of the pixels has ink."""
    rng = np.random.default_rng(2)
    net = case.params["net"]
    n, pixels, classes = case.params["batch"], (1, 28, 28) if net == "cnn" else (784,), 1 if net == "learned" else 10
    return [
        (np.maximum(rng.random((n, *pixels), np.float32) - np.float32(0.8), 0) * 5, rng.integers(0, classes, n))
        for _ in range(BATCHES)
    ]


def verify(case, summaries):
    """Complain about losses that differ from those of float64."""
    expected = EXPECTED[case.params["net"]]
    return {
        name: f"wrong losses: {losses} instead of {expected}"
        for name, losses in summaries.items()
        if not np.allclose(losses, expected, rtol=5e-5)
    }


def build(library, case, threads):
    """Build the case in the process of one library: one call is one step on one batch, and gives the loss."""
    made = {}
    for variant, step in globals()[f"_build_{library}"](case.params["net"], threads):
        calls = [step(x, y) for x, y in batches(case)]
        made[variant] = Calls(calls, [float(calls[i % BATCHES]()) for i in range(STEPS)])
    return made


def _build_fastnn(net, threads):
    import fastnn
    from fastnn import functional, nn, optim

    for variant in ("", "flushed") if net == "learned" else ("",):
        fastnn.manual_seed(0)
        model = _net(nn, net)
        optimizer = (optim.SGD if net == "mlp" else optim.Adam)(model.parameters(), lr=RATE[net])
        model.load_state_dict(dict(zip(model.state_dict(), weights(net), strict=True)))

        def step(x, y, model=model, optimizer=optimizer, flush=variant == "flushed"):
            def call():
                if net == "learned":
                    fastnn.set_flush_denormal(flush)
                loss = functional.cross_entropy(model(x), y)
                value = loss.item()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return value

            return call

        yield variant, step


def _net(nn, net):
    """Return the net of fastnn's layers or PyTorch's, which have the same names."""
    if net != "cnn":
        width = LAYERS[net][0][0]
        return nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def _build_torch(net, threads):
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    for variant in {"cnn": ("", "channels_last"), "learned": ("", "flushed")}.get(net, ("",)):
        model = _net(nn, net)
        optimizer = (torch.optim.SGD if net == "mlp" else torch.optim.Adam)(model.parameters(), lr=RATE[net])
        values = map(torch.from_numpy, weights(net))
        model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
        memory = torch.channels_last if variant == "channels_last" else torch.contiguous_format
        model = model.to(memory_format=memory)

        def step(x, y, model=model, optimizer=optimizer, memory=memory, flush=variant == "flushed"):
            x, y = torch.from_numpy(x), torch.from_numpy(y)
            x = x.to(memory_format=memory) if x.ndim == 4 else x

            def call():
                if net == "learned":
                    torch.set_flush_denormal(flush)
                loss = nn.functional.cross_entropy(model(x), y)
                value = loss.item()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return value

            return call

        yield variant, step


def _build_jax(net, threads):
    import jax
    from jax import lax
    from jax import numpy as jnp

    def pool(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def convolve(x, w, b):
        layout = ("NCHW", "OIHW", "NCHW")
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layout) + b[:, None, None]

    def loss_of(p, x, y):
        if net == "cnn":
            x = pool(jax.nn.relu(convolve(x, p[0], p[1])))
            x = pool(jax.nn.relu(convolve(x, p[2], p[3])))
            x, p = x.reshape(len(x), -1), p[4:]
        for w, b in zip(p[:-2:2], p[1:-2:2], strict=True):
            x = jax.nn.relu(x @ w.T + b)
        log_p = jax.nn.log_softmax(x @ p[-2].T + p[-1])
        return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))

    def sgd(p, state, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(p, x, y)
        return [a - RATE[net] * g for a, g in zip(p, gradients, strict=True)], state, loss

    def adam(p, state, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(p, x, y)
        t, first, second = state
        t = t + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradients, strict=True)]
        p = [
            a - RATE[net] * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
            for a, m, v in zip(p, first, second, strict=True)
        ]
        return p, (t, first, second), loss

    update = jax.jit(sgd if net == "mlp" else adam, donate_argnums=(0, 1))
    p = [jnp.asarray(w) for w in weights(net)]
    now = [p, (jnp.float32(0), [jnp.zeros_like(w) for w in p], [jnp.zeros_like(w) for w in p]) if net != "mlp" else ()]

    def step(x, y):
        x, y = jnp.asarray(x), jnp.asarray(y)

        def call():
            now[0], now[1], loss = update(now[0], now[1], x, y)
            return float(loss)

        return call

    yield "", step


def _build_sklearn(net, threads):
    from sklearn.neural_network import MLPClassifier

    if net != "mlp":
        raise Unsupported
    model = MLPClassifier((16, 16), solver="sgd", alpha=0, learning_rate_init=RATE[net], momentum=0, batch_size=32)
    started = False

    def step(x, y):
        nonlocal started
        if not started:  # it draws its weights in the first call; only then can they be set
            model.partial_fit(x, y, classes=np.arange(10))
            for own, value in zip(model.coefs_ + model.intercepts_, _transposed(weights(net)), strict=True):
                own[...] = value
            started = True

        def call():
            model.partial_fit(x, y)
            return model.loss_

        return call

    yield "", step


def _transposed(parameters):
    return [w.T for w in parameters[::2]] + parameters[1::2]
