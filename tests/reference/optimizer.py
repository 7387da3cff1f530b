"""Update rules of optimizers in float64, as their papers write them; a rule keeps its state, gives the next point."""

import numpy as np


def rtol(dtype):
    """Tolerance after a handful of updates, each of some ten roundings."""
    return 64 * np.finfo(dtype).eps


def follow(
    rule, value, gradients, lr=1e-3, weight_decay=0.0, l1=0.0, maximize=False, decoupled_weight_decay=False, **settings
):
    """All gradients of a parameter in, its final value out; the penalties are the same for all rules."""
    value = np.array(value, np.float64)
    step = RULES[rule](**settings)
    for t, gradient in enumerate(gradients, start=1):
        g = (-gradient if maximize else gradient) + l1 * np.sign(value)
        if decoupled_weight_decay:
            value = value - lr * weight_decay * value
        else:
            g = g + weight_decay * value
        value = step(value, g, t, lr)
    return value


def sgd(momentum=0.0, dampening=0.0, nesterov=False):
    """Sutskever et al. (2013), with the details of PyTorch: the first velocity is the gradient itself."""
    velocity = None

    def step(p, g, t, lr):
        nonlocal velocity
        velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
        return p - lr * (g + momentum * velocity if nesterov else velocity)

    return step


def _moments(betas):
    m = v = 0.0

    def take(g):
        nonlocal m, v
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        return m, v

    return take


def adam(betas=(0.9, 0.999), eps=1e-8, amsgrad=False):
    """Kingma & Ba (2015), algorithm 1; amsgrad: Reddi et al. (2018), algorithm 2, with Adam's corrections."""
    moments, largest = _moments(betas), 0.0

    def step(p, g, t, lr):
        nonlocal largest
        m, v = moments(g)
        largest = np.maximum(largest, v)
        v = largest if amsgrad else v
        return p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)

    return step


def nadam(betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3):
    """Dozat (2016), algorithm 2 with its momentum schedule."""
    moments, product = _moments(betas), 1.0

    def step(p, g, t, lr):
        nonlocal product
        m, v = moments(g)
        mu, later = (betas[0] * (1 - 0.5 * 0.96 ** (i * momentum_decay)) for i in (t, t + 1))
        product *= mu
        mean = later * m / (1 - product * later) + (1 - mu) * g / (1 - product)
        return p - lr * mean / (np.sqrt(v / (1 - betas[1] ** t)) + eps)

    return step


def radam(betas=(0.9, 0.999), eps=1e-8):
    """Liu et al. (2020), algorithm 2; eps stands beside sqrt(v), as in PyTorch."""
    moments = _moments(betas)

    def step(p, g, t, lr):
        m, v = moments(g)
        m = m / (1 - betas[0] ** t)
        longest = 2 / (1 - betas[1]) - 1
        rho = longest - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        if rho <= 5:
            return p - lr * m
        r = np.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
        return p - lr * r * m * np.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps)

    return step


def adamax(betas=(0.9, 0.999), eps=1e-8):
    """Kingma & Ba (2015), algorithm 2; eps is added to the gradient's size, as in PyTorch."""
    moments, largest = _moments(betas), 0.0

    def step(p, g, t, lr):
        nonlocal largest
        m, _ = moments(g)
        largest = np.maximum(betas[1] * largest, np.abs(g) + eps)
        return p - lr / (1 - betas[0] ** t) * m / largest

    return step


def rmsprop(alpha=0.99, eps=1e-8, momentum=0.0, centered=False):
    """Tieleman & Hinton (2012); centered: Graves (2013), equations 38 to 41."""
    s = a = v = 0.0

    def step(p, g, t, lr):
        nonlocal s, a, v
        s = alpha * s + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        v = momentum * v + g / (np.sqrt(s - a**2 if centered else s) + eps)
        return p - lr * v

    return step


def adagrad(lr_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    """Duchi, Hazan & Singer (2011), the diagonal form."""
    total = initial_accumulator_value

    def step(p, g, t, lr):
        nonlocal total
        total = total + g**2
        return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)

    return step


def adadelta(rho=0.9, eps=1e-6):
    """Zeiler (2012), algorithm 1."""
    s = u = 0.0

    def step(p, g, t, lr):
        nonlocal s, u
        s = rho * s + (1 - rho) * g**2
        d = np.sqrt(u + eps) / np.sqrt(s + eps) * g
        u = rho * u + (1 - rho) * d**2
        return p - lr * d

    return step


def lion(betas=(0.9, 0.99)):
    """Chen et al. (2023), program 1."""
    m = 0.0

    def step(p, g, t, lr):
        nonlocal m
        direction = np.sign(betas[0] * m + (1 - betas[0]) * g)
        m = betas[1] * m + (1 - betas[1]) * g
        return p - lr * direction

    return step


def rprop(etas=(0.5, 1.2), step_sizes=(1e-6, 50.0)):
    """Riedmiller & Braun (1993), without weight backtracking, as in PyTorch."""
    before, size = 0.0, None

    def step(p, g, t, lr):
        nonlocal before, size
        size = np.full(np.shape(p), lr) if size is None else size
        change = np.sign(before * g)
        size = np.clip(size * np.where(change > 0, etas[1], np.where(change < 0, etas[0], 1)), *step_sizes)
        before = np.where(change < 0, 0, g)
        return p - size * np.sign(before)

    return step


def asgd(lambd=1e-4, alpha=0.75, t0=1e6):
    """Polyak & Juditsky (1992), with the schedule of Bottou, as in PyTorch."""

    def step(p, g, t, lr):
        eta = lr / (1 + lambd * lr * (t - 1)) ** alpha
        return (1 - lambd * eta) * p - eta * g

    return step


def adafactor(beta2_decay=-0.8, eps=(None, 1e-3), d=1.0):
    """Shazeer & Stern (2018), algorithms 4 and 5, with PyTorch's relative steps and eps."""
    rows = columns = v = 0.0

    def step(p, g, t, lr):
        nonlocal rows, columns, v
        least = np.finfo(p.dtype).eps if eps[0] is None else eps[0]
        fresh = t**beta2_decay
        if p.ndim < 2:
            v = v + fresh * (g**2 - v)
            estimate = v
        else:
            rows = rows + fresh * ((g**2).mean(-1, keepdims=True) - rows)
            columns = columns + fresh * ((g**2).mean(-2, keepdims=True) - columns)
            estimate = rows * columns / np.maximum(rows.mean(-2, keepdims=True), least)
        u = g / np.sqrt(np.maximum(estimate, least**2))
        size = min(lr, t**-0.5) * max(eps[1], np.sqrt((p**2).mean()))
        return p - size / max(1, np.sqrt((u**2).mean()) / d) * u

    return step


def muon(momentum=0.95, nesterov=True, scale=None, steps=5):
    """Jordan et al. (2024)."""
    m = 0.0

    def step(p, g, t, lr):
        nonlocal m
        m = momentum * m + (1 - momentum) * g
        x = momentum * m + (1 - momentum) * g if nesterov else m
        x = x / np.linalg.norm(x)
        u, s, v = np.linalg.svd(x, full_matrices=False)  # the iteration changes singular values only
        for _ in range(steps):
            s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
        rows, columns = p.shape
        return p - lr * (np.sqrt(max(1, rows / columns)) if scale is None else scale) * (u * s) @ v

    return step


RULES = {
    function.__name__: function
    for function in (sgd, adam, nadam, radam, adamax, rmsprop, adagrad, adadelta, lion, rprop, asgd, adafactor, muon)
}  # fmt: skip
