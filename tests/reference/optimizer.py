"""Update rules of optimizers, for one parameter in float64: all its gradients in, its final value out."""

import numpy as np


def rtol(dtype):
    """Tolerance after a handful of updates, each of some ten roundings."""
    return 64 * np.finfo(dtype).eps


def sgd(value, gradients, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, l1=0.0):
    """SGD as in Sutskever et al. (2013), with the details of PyTorch: the first velocity is the gradient itself."""
    value = np.array(value, np.float64)
    velocity = None
    for gradient in gradients:
        g = gradient + weight_decay * value + l1 * np.sign(value)
        velocity = np.array(g) if velocity is None else momentum * velocity + (1 - dampening) * g
        value = value - lr * (g + momentum * velocity if nesterov else velocity)
    return value


def adam(value, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, l1=0.0):
    """Kingma & Ba (2015), algorithm 1."""
    value = np.array(value, np.float64)
    m = v = np.zeros_like(value)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient + weight_decay * value + l1 * np.sign(value)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        value = value - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return value
