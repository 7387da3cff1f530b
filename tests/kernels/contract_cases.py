"""One or more calls of every entry point, for the contract test; together they must reach every kernel.

A case is a function of `make`, which makes its inputs, and of a size `n` that the test sets to 0 and to a prime.

    make(3, n)          an input of this shape; the test decides about dtype, strides and whether it can be written
    make.positive(n)    the same with values from 0.1 to 2
    make.labels(n, 10)  class indices
    make.state(n)       a contiguous array that the call may change, and that counts as one of its results

To add an operation: add its name. Where one call does not reach all of its variants, give a list of calls.
"""

from unittest import mock

import numpy as np

import fastnn_kernels as k
from fastnn_kernels.formulas.activation import FORMULAS
from fastnn_kernels.ground import plans
from tests.kernels import elementwise_cases
from tests.kernels.loss_rows import TABLE

SETTINGS = {
    **{"momentum": 0.9, "dampening": 0.1, "nesterov": False, "betas": (0.9, 0.99), "eps": 1e-3, "momentum_decay": 0.01},
    **{"mu_product": None, "alpha": 0.9, "rho": 0.9, "lr_decay": 0.1, "decay": 0.9},
    **{"etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0), "lambd": 0.1, "t0": 1.0},
}


def optimizer_step(rule):
    """Return a call of a rule, with all penalties."""
    settings = {name: SETTINGS[name] for name in k.OPTIMIZER_RULES[rule].settings}

    def call(make, n):
        states = [make.state(n, positive=True) for _ in k.OPTIMIZER_RULES[rule].states]
        for mean_square in states[:1]:
            mean_square += 4  # no less than the square of the mean
        k.optimizer_step(rule, make.state(n), make(n).copy(), states, 3, lr=0.1, weight_decay=0.1, l1=0.1, **settings)

    return call


def spoken(make, n):
    """Return log-probabilities, labels and their lengths."""
    return make(9, n, 4), 1 + make.labels((n, 3), 3) % 3, make.labels(n, 3) + 7, make.labels(n, 4)


def of_losses():
    """Return calls of all losses of the table, and of their gradients, for a batch of n."""
    cases: dict = {}

    def arrays(row, make, n):
        whole = row.make(np.random.default_rng(3))
        made = [np.resize(x, (n, *x.shape[1:])) for x in whole]
        return [make.give(x.astype(make.dtype) if x.dtype.kind == "f" else x) for x in made]

    def options(row, make):
        return {k: v.astype(make.dtype) if isinstance(v, np.ndarray) else v for k, v in row.options.items()}

    for row in TABLE.values():
        if any(isinstance(v, np.ndarray) and v.ndim == 2 for v in row.options.values()):
            row = row._replace(options={"pos_weight": row.options["pos_weight"]})

        def forward(make, n, row=row):
            return getattr(k, row.name)(*arrays(row, make, n), reduction="sum", **options(row, make))

        def backward(make, n, row=row):
            loss, needs = getattr(k, row.name), {}
            if hasattr(loss, "backward"):
                needs = {"needs": (True,) * row.operands}
            dloss, operands = make(), arrays(row, make, n)
            gradient = getattr(k, f"{row.name}_backward")
            return gradient(dloss, *operands, reduction="sum", **needs, **options(row, make))

        def single(make, n, row=row):
            return getattr(k, row.name)(*arrays(row, make, n), reduction="none", **options(row, make))

        cases.setdefault(row.name, []).append(forward)
        if row.name == "multilabel_soft_margin_loss":
            cases[row.name].append(single)
        cases.setdefault(f"{row.name}_backward", []).append(backward)
    return cases


CASES = {
    "matmul": [
        lambda make, n: k.matmul(make(n, 37), make(37, 29)),
        lambda make, n: k.matmul(make(3, n, 8), make(8, 8)),
        lambda make, n: k.matmul(make(n, 150), make(150, 170)),
        lambda make, n: k.matmul(make(9 * n, 301), make(301, 170)),
        lambda make, n: k.matmul(make(1, 64), make(64, n)),
        lambda make, n: k.matmul(make(1, 1500), make(1500, 300 * n)),
        lambda make, n: k.matmul(make(64), make(64, n)),
        lambda make, n: k.matmul(make(n, 64), make(64)),
        lambda make, n: k.matmul(make(1, 1200), make(1200, 201 * n)),
    ],
    "linear": [
        lambda make, n: k.linear(make(n, 19), make(23, 19), make(23)),
        lambda make, n: k.linear(make(2, n, 19), make(23, 19), activation="relu"),
        lambda make, n: k.linear(make(n, 130), make(70, 130), make(70), activation="gelu"),
        lambda make, n: k.linear(make(1, 64), make(n, 64), make(n), activation="sigmoid"),
    ],
    "linear_backward": [
        lambda make, n: k.linear_backward(make(n, 23), make(n, 19), make(23, 19)),
        lambda make, n: k.linear_backward(make(n, 23), make(n, 19), make(23, 19), make(n, 23), "relu"),
        lambda make, n: k.linear_backward(make(n, 23), make(n, 19), make(23, 19), make(n, 23), "tanh"),
    ],
    "peak": [lambda make, n: k.peak.measure(make().dtype, threads=1, seconds=0) >= 0],
    "prepare_matmul": [lambda make, n: k.matmul(make(n, 37), k.prepare_matmul(make(37, 29)))],
    "conv2d": [
        lambda make, n: k.conv2d(make(n, 4, 9, 11), make(6, 4, 3, 3), make(6), padding=1),
        lambda make, n: k.conv2d(make(n, 4, 9, 11), make(6, 2, 3, 2), stride=2, padding=(2, 1), dilation=2, groups=2),
        lambda make, n: k.conv2d(make(n, 4, 9, 11), make(6, 4, 1, 1), make(6), activation="relu"),
        lambda make, n: k.conv2d(make(n, 4, 9, 11), make(4, 1, 3, 3), make(4), padding=1, groups=4),
        lambda make, n: k.conv2d(make(n, 4, 9, 11), make(8, 1, 3, 3), padding=1, groups=4),
        lambda make, n: k.conv2d(make(n, 9, 11, 17).transpose(0, 3, 1, 2), make(17, 1, 3, 3), padding=1, groups=17),
        lambda make, n: k.conv2d(make(n, 33, 13, 11), make(70, 33, 3, 3), make(70), padding=1),
    ],
    "prepare_conv2d": [
        lambda make, n: k.conv2d(make(n, 33, 4, 7), k.prepare_conv2d(make(64, 33, 3, 3)), padding=1),
        lambda make, n: k.conv2d(make(n, 4, 9, 11), k.prepare_conv2d(make(6, 2, 3, 2), groups=2), stride=2, groups=2),
    ],
    "conv2d_backward": [
        lambda make, n: k.conv2d_backward(make(n, 6, 9, 11), make(n, 4, 9, 11), make(6, 4, 3, 3), padding=1),
        lambda make, n: k.conv2d_backward(
            make(n, 6, 9, 11), make(n, 4, 9, 11), make(6, 4, 3, 3), make(n, 6, 9, 11), "relu", padding=1
        ),
    ],
    "conv2d_backward_input": [
        lambda make, n: k.conv2d_backward_input(make(n, 6, 9, 11), make(6, 4, 3, 3), (n, 4, 9, 11), 1, 1, 1, 1),
        lambda make, n: k.conv2d_backward_input(make(n, 6, 4, 5), make(6, 2, 3, 3), (n, 4, 9, 11), 2, 0, 1, 2),
    ],
    "conv2d_backward_weight": [
        lambda make, n: k.conv2d_backward_weight(make(n, 6, 9, 11), make(n, 4, 9, 11), (6, 4, 3, 3), 1, 1, 1, 1),
        lambda make, n: k.conv2d_backward_weight(make(n, 6, 4, 5), make(n, 4, 9, 11), (6, 2, 3, 3), 2, 0, 1, 2),
        lambda make, n: k.conv2d_backward_weight(make(n, 4, 9, 11), make(n, 4, 9, 11), (4, 1, 3, 3), 1, 1, 1, 4),
        lambda make, n: k.conv2d_backward_weight(make(n, 33, 13, 12), make(n, 32, 13, 12), (33, 32, 3, 3), 1, 1, 1, 1),
        lambda make, n: k.conv2d_backward_weight(
            make(n, 5, 8, 2).transpose(0, 3, 1, 2), make(n, 7, 9, 3).transpose(0, 3, 1, 2), (2, 3, 3, 2)
        ),
    ],
    "conv2d_backward_bias": [lambda make, n: k.conv2d_backward_bias(make(n, 6, 5, 7))],
    "pad": [
        lambda make, n: k.pad(make(n, 3, 4, 5), (1, 2, 3, -1), value=2.0),
        lambda make, n: k.pad(make(n, 4, 5, 3).transpose(0, 3, 1, 2), (4, 2, 3, 0), "reflect"),
    ],
    "pad_backward": [lambda make, n: k.pad_backward(make(n, 3, 8, 7), (n, 3, 4, 5), (2, 0, 3, 1), "circular")],
    "conv1d": [
        lambda make, n: k.conv1d(make(n, 4, 23), make(6, 4, 3), make(6), padding=1, activation="relu"),
        lambda make, n: k.conv1d(make(n, 4, 23), make(6, 2, 3), None, 2, "valid", 2, 2, activation="tanh"),
    ],
    "conv1d_backward": [
        lambda make, n: k.conv1d_backward(make(n, 6, 23), make(n, 4, 23), make(6, 4, 3), make(n, 6, 23), "relu", 1, 1),
    ],
    "conv3d": [
        lambda make, n: k.conv3d(make(n, 4, 5, 6, 7), make(6, 4, 3, 3, 3), make(6), padding=1, activation="relu"),
        lambda make, n: k.conv3d(make(n, 4, 5, 6, 7), make(6, 2, 2, 3, 2), None, (1, 2, 1), 1, (2, 1, 1), 2),
    ],
    "conv3d_backward": [
        lambda make, n: k.conv3d_backward(
            make(n, 6, 5, 6, 7), make(n, 4, 5, 6, 7), make(6, 4, 3, 3, 3), make(n, 6, 5, 6, 7), "relu", padding=1
        ),
    ],
    "conv_transpose1d": [lambda make, n: k.conv_transpose1d(make(n, 4, 11), make(4, 6, 3), make(6), 2, 1, 1)],
    "conv_transpose1d_backward": [
        lambda make, n: k.conv_transpose1d_backward(make(n, 6, 13), make(n, 4, 11), make(4, 6, 3)),
    ],
    "conv_transpose2d": [
        lambda make, n: k.conv_transpose2d(make(n, 4, 5, 6), make(4, 6, 4, 4), make(6), 2, 1, activation="relu"),
    ],
    "conv_transpose2d_backward": [
        lambda make, n: k.conv_transpose2d_backward(
            make(n, 6, 10, 12), make(n, 4, 5, 6), make(4, 6, 4, 4), make(n, 6, 10, 12), "relu", 2, 1
        ),
    ],
    "conv_transpose3d": [
        lambda make, n: k.conv_transpose3d(make(n, 4, 3, 5, 4), make(4, 3, 2, 3, 2), make(6), 2, 1, 1, 2),
    ],
    "conv_transpose3d_backward": [
        lambda make, n: k.conv_transpose3d_backward(make(n, 6, 4, 7, 5), make(n, 4, 3, 5, 4), make(4, 6, 2, 3, 2)),
    ],
    "prepare_conv1d": [lambda make, n: k.conv1d(make(n, 4, 23), k.prepare_conv1d(make(6, 4, 3)), make(6))],
    "prepare_conv3d": [lambda make, n: k.conv3d(make(n, 4, 4, 5, 6), k.prepare_conv3d(make(6, 4, 3, 2, 3)))],
    "prepare_conv_transpose1d": [
        lambda make, n: k.conv_transpose1d(make(n, 4, 11), k.prepare_conv_transpose1d(make(4, 6, 3)), None, 2),
    ],
    "prepare_conv_transpose2d": [
        lambda make, n: k.conv_transpose2d(make(n, 4, 5, 6), k.prepare_conv_transpose2d(make(4, 17, 4, 4)), None, 2),
    ],
    "prepare_conv_transpose3d": [
        lambda make, n: k.conv_transpose3d(
            make(n, 4, 3, 4, 2), k.prepare_conv_transpose3d(make(4, 9, 2, 2, 3)), None, 2
        ),
    ],
    "unfold": [lambda make, n: k.unfold(make(n, 3, 9, 7), (3, 2), 2, 1, 2)],
    "fold": [lambda make, n: k.fold(make(n, 12, 15), (6, 4), 2)],
    "max_pool1d": [lambda make, n: k.max_pool1d(make(n, 3, 37), 3, 2, 1)],
    "max_pool2d": [
        lambda make, n: k.max_pool2d(make(n, 3, 8, 10), 2),
        lambda make, n: k.max_pool2d(make(n, 3, 9, 41), 3, 2, 1, return_indices=True),
        lambda make, n: k.max_pool2d(make(n, 9, 11, 3).transpose(0, 3, 1, 2), 3, 1, 1),
        lambda make, n: k.max_pool2d(make(n, 9, 11, 3).transpose(0, 3, 1, 2), 2, activation="relu"),
    ],
    "max_pool3d": [lambda make, n: k.max_pool3d(make(n, 3, 4, 5, 7), 2, return_indices=True)],
    "max_pool_backward": [
        lambda make, n: k.max_pool_backward(2, make(n, 3, 4, 5), make(n, 3, 9, 11), (2, None, 0, 1, False)),
        lambda make, n: k.max_pool_backward(
            2, make(n, 3, 4, 5), make(n, 9, 11, 3).transpose(0, 3, 1, 2), (2, None, 0, 1, False)
        ),
        lambda make, n: k.max_pool_backward(
            2, make(n, 3, 5, 6), make(n, 3, 9, 11), (3, 2, 1, 1, False), activation="relu"
        ),
        lambda make, n: k.max_pool_backward(
            2, make(n, 3, 5, 6), make(n, 9, 11, 3).transpose(0, 3, 1, 2), (3, 2, 1, 1, False)
        ),
    ],
    "adaptive_max_pool1d": [lambda make, n: k.adaptive_max_pool1d(make(n, 3, 37), 5)],
    "adaptive_max_pool2d": [lambda make, n: k.adaptive_max_pool2d(make(n, 3, 7, 9), (2, 4), return_indices=True)],
    "adaptive_max_pool3d": [lambda make, n: k.adaptive_max_pool3d(make(n, 3, 4, 5, 6), 1)],
    "avg_pool1d": [lambda make, n: k.avg_pool1d(make(n, 3, 37), 5, 3)],
    "avg_pool2d": [
        lambda make, n: k.avg_pool2d(make(n, 3, 9, 11), 3, 2, 1),
        lambda make, n: k.avg_pool2d(make(n, 3, 9, 41), 2),
        lambda make, n: k.avg_pool2d(make(n, 9, 11, 3).transpose(0, 3, 1, 2), 2),
    ],
    "avg_pool3d": [lambda make, n: k.avg_pool3d(make(n, 3, 4, 5, 7), 2)],
    "sum_pool2d": [lambda make, n: k.sum_pool2d(make(n, 9, 11, 3).transpose(0, 3, 1, 2), 3, 1, 1)],
    "lp_pool1d": [lambda make, n: k.lp_pool1d(make(n, 3, 37), 2, 3)],
    "lp_pool2d": [lambda make, n: k.lp_pool2d(make(n, 3, 8, 9), 2, 2)],
    "lp_pool3d": [lambda make, n: k.lp_pool3d(make(n, 3, 4, 5, 6), 2, 2)],
    "lp_pool_backward": [
        lambda make, n: k.lp_pool_backward(2, make(n, 3, 4, 4), make(n, 3, 8, 8), make.positive(n, 3, 4, 4), 2, 2),
    ],
    "adaptive_avg_pool1d": [lambda make, n: k.adaptive_avg_pool1d(make(n, 3, 37), 5)],
    "adaptive_avg_pool2d": [
        lambda make, n: k.adaptive_avg_pool2d(make(n, 3, 7, 9), (2, 1)),
        lambda make, n: k.adaptive_avg_pool2d(make(n, 7, 9, 3).transpose(0, 3, 1, 2), 1),
    ],
    "adaptive_avg_pool3d": [lambda make, n: k.adaptive_avg_pool3d(make(n, 3, 4, 5, 6), 1)],
    "avg_pool_backward": [
        lambda make, n: k.avg_pool_backward(2, make(n, 3, 5, 6), (n, 3, 9, 11), (3, 2, 1, False, False, None)),
        lambda make, n: k.avg_pool_backward(2, make(n, 3, 2, 4), (n, 3, 7, 9), ((2, 4),)),
        lambda make, n: k.avg_pool_backward(2, make(n, 3, 1, 1), (n, 3, 7, 9), (1,)),
        lambda make, n: k.avg_pool_backward(2, make(n, 3, 3, 4), (n, 3, 7, 9), (2, None, 0, False, True, None)),
        lambda make, n: k.avg_pool_backward(
            2, make(n, 3, 4, 3).transpose(0, 3, 1, 2), (n, 3, 7, 9), (2, None, 0, False, True, None), channels_last=True
        ),
    ],
    "max_unpool1d": [lambda make, n: k.max_unpool1d(make(n, 3, 10), make.labels((n, 3, 10), 20), 2)],
    "max_unpool2d": [lambda make, n: k.max_unpool2d(make(n, 3, 4, 5), make.labels((n, 3, 4, 5), 80), 2)],
    "max_unpool3d": [lambda make, n: k.max_unpool3d(make(n, 3, 2, 2, 3), make.labels((n, 3, 2, 2, 3), 96), 2)],
    "max_unpool_backward": [
        lambda make, n: k.max_unpool_backward(2, make(n, 3, 8, 10), make.labels((n, 3, 4, 5), 80)),
    ],
    "interpolate": [
        lambda make, n: k.interpolate(make(n, 3, 5, 7), scale_factor=1.5, mode="bicubic"),
        lambda make, n: k.interpolate(make(n, 5, 4, 17).transpose(0, 3, 1, 2), (7, 9), mode="bilinear"),
        lambda make, n: k.interpolate(make(n, 2, 3, 4, 5), (5, 4, 3), mode="trilinear"),
    ],
    "interpolate_backward": [
        lambda make, n: k.interpolate_backward(make(n, 3, 5, 7), (n, 3, 3, 9), (5, 7), mode="bilinear")
    ],
    "grid_sample": [
        lambda make, n: k.grid_sample(make(n, 3, 5, 7), make(n, 4, 3, 2), "bilinear", "reflection"),
        lambda make, n: k.grid_sample(make(n, 2, 3, 4, 5), make(n, 2, 3, 2, 3), "nearest", "border", True),
        lambda make, n: k.grid_sample(make(n, 3, 5, 7), make(n, 4, 3, 2), "bicubic", "border"),
    ],
    "grid_sample_backward": [
        lambda make, n: k.grid_sample_backward(make(n, 3, 4, 3), make(n, 3, 5, 7), make(n, 4, 3, 2)),
        lambda make, n: k.grid_sample_backward(
            make(n, 3, 20, 30), make(n, 3, 5, 7), make(n, 20, 30, 2), "bicubic", "reflection", True
        ),
    ],
    "pixel_shuffle": [lambda make, n: k.pixel_shuffle(make(n, 8, 3, 5), 2)],
    "pixel_unshuffle": [lambda make, n: k.pixel_unshuffle(make(n, 3, 6, 4), 2)],
    "channel_shuffle": [lambda make, n: k.channel_shuffle(make(n, 6, 5), 2)],
    "gelu": [lambda make, n: k.gelu(make(n, 37)), lambda make, n: k.gelu(make(n, 37), "tanh")],
    "gelu_backward": [
        lambda make, n: k.gelu_backward(make(n, 37), make(n, 37)),
        lambda make, n: k.gelu_backward(make(n, 37), make(n, 37), "tanh"),
    ],
    "softmax": [
        lambda make, n: k.softmax(make(n, 37)),
        lambda make, n: k.softmax(make(n, 5)),
        lambda make, n: k.softmax(make(n, 5, 7), 1),
    ],
    "softmax_backward": [
        lambda make, n: k.softmax_backward(make(n, 37), make(n, 37), -1),
        lambda make, n: k.softmax_backward(make(n, 5, 7), make(n, 5, 7), 1),
    ],
    "log_softmax": [
        lambda make, n: k.log_softmax(make(n, 37)),
        lambda make, n: k.log_softmax(make(n, 5)),
        lambda make, n: k.log_softmax(make(n, 5, 7), 1),
    ],
    "log_softmax_backward": [
        lambda make, n: k.log_softmax_backward(make(n, 37), make(n, 37), -1),
        lambda make, n: k.log_softmax_backward(make(n, 5, 7), make(n, 5, 7), 1),
    ],
    "cross_entropy": [
        lambda make, n: k.cross_entropy(make(n, 41), make.labels(n, 41), reduction="sum"),
        lambda make, n: k.cross_entropy(make(7 * n, 11), make.labels(7 * n, 11), make.positive(11), 3, "sum", 0.1),
        lambda make, n: k.cross_entropy(make(n, 11), make.positive(n, 11), reduction="sum"),
        lambda make, n: k.cross_entropy(make(n, 11), make.positive(n, 11), make.positive(11), -100, "none", 0.1),
    ],
    "cross_entropy_backward": [
        lambda make, n: k.cross_entropy_backward(make(), make(n, 41), make.labels(n, 41), reduction="sum"),
        lambda make, n: k.cross_entropy_backward(make(), make(n, 11), make.positive(n, 11), reduction="sum"),
    ],
    "cross_entropy_with_gradient": [
        lambda make, n: k.cross_entropy_with_gradient(make(7 * n, 11), make.labels(7 * n, 11), reduction="sum"),
        lambda make, n: k.cross_entropy_with_gradient(make(n, 11), make.positive(n, 11), reduction="sum"),
    ],
    "layer_norm": [
        lambda make, n: k.layer_norm(make(n, 37), 37, make(37), make(37)),
        lambda make, n: k.layer_norm(make(n, 7, 11), 11, make(11)),
        lambda make, n: k.layer_norm(make(n, 37), 37),
    ],
    "layer_norm_backward": [lambda make, n: k.layer_norm_backward(make(n, 37), make(n, 37), 37, make(37))],
    "rms_norm": [lambda make, n: k.rms_norm(make(n, 37), 37, make(37))],
    "rms_norm_backward": [lambda make, n: k.rms_norm_backward(make(n, 37), make(n, 37), 37, make(37))],
    "group_norm": [lambda make, n: k.group_norm(make(n, 6, 5, 7), 2, make(6), make(6))],
    "group_norm_backward": [lambda make, n: k.group_norm_backward(make(n, 6, 5), make(n, 6, 5), 3, make(6))],
    "instance_norm": [lambda make, n: k.instance_norm(make(n, 6, 5, 7), weight=make(6), bias=make(6))],
    "instance_norm_backward": [
        lambda make, n: k.instance_norm_backward(make(n, 6, 5), make(n, 6, 5), weight=make(6)),
    ],
    "normalize": [lambda make, n: k.normalize(make(n, 37)), lambda make, n: k.normalize(make(n, 5, 7), 3, -2)],
    "normalize_backward": [lambda make, n: k.normalize_backward(make(n, 37), make(n, 37))],
    "local_response_norm": [lambda make, n: k.local_response_norm(make(n, 6, 5, 7), 3, 0.5)],
    "local_response_norm_backward": [
        lambda make, n: k.local_response_norm_backward(make(n, 6, 5, 7), make(n, 6, 5, 7), 3, 0.5),
    ],
    "batch_norm": [
        lambda make, n: k.batch_norm(
            make(n, 6, 5), make.state(6), make.state(6, positive=True), make(6), make(6), bool(n)
        ),
        lambda make, n: k.batch_norm(
            make(n, 5, 6).transpose(0, 2, 1), make.state(6), make.state(6, positive=True), make(6), make(6), bool(n)
        ),
        lambda make, n: k.batch_norm(make(n, 6, 5), make(6), make.positive(6), make(6), make(6)),
        lambda make, n: k.batch_norm(make(n, 6), make(6), make.positive(6)),
    ],
    "batch_norm_backward": [
        lambda make, n: k.batch_norm_backward(make(n, 6, 5), make(n, 6, 5), None, None, make(6), True),
        lambda make, n: k.batch_norm_backward(make(n, 6), make(n, 6), None, None, make(6), True),
        lambda make, n: k.batch_norm_backward(make(n, 6), make(n, 6), make(6), make.positive(6)),
    ],
    "nll_loss": [lambda make, n: k.nll_loss(make(n, 11), make.labels(n, 11), reduction="sum")],
    "nll_loss_backward": [
        lambda make, n: k.nll_loss_backward(make(), make(n, 11), make.labels(n, 11), reduction="sum")
    ],
    "one_hot": [lambda make, n: k.one_hot(make.labels(n, 11), 11)],
    "ctc_loss": [lambda make, n: k.ctc_loss(*spoken(make, n), reduction="sum")],
    "ctc_loss_backward": [lambda make, n: k.ctc_loss_backward(make(), *spoken(make, n), reduction="sum")],
    **of_losses(),
    "warp": [
        lambda make, n: k.warp(make(n, 2, 6, 9), make(2, 3), make(2, 13, 11), border="reflect"),
        lambda make, n: k.warp(make(n, 2, 6, 9), make(n, 2, 3), size=(30, 20), mode="nearest"),
    ],
    "uniform": [lambda make, n: k.uniform((n, 37), seed=11, dtype=make.dtype)],
    "noise": [lambda make, n: k.noise(make(n, 37), 0.3, seed=11)],
    "erase": [lambda make, n: k.erase(make(n, 3, 5, 7), make.labels((n, 4), 8))],
    "mix": [lambda make, n: k.mix(make(n, 37), make.labels(n, max(n, 1)), make(n))],
    "take": [lambda make, n: k.take(make(max(n, 1), 37), make.labels(2 * n, max(n, 1)))],
    "index_reduce": [
        lambda make, n: k.index_reduce(make(n, 37), make.labels(9 * n, max(n, 1)), make(9 * n, 37)),
        lambda make, n: k.index_reduce(make(n), make.labels(3 * n, max(n, 1)), make(3 * n), "mean", False),
        lambda make, n: k.index_reduce(make(n, 3), make.labels(3 * n, max(n, 1)), make(3 * n, 3), "prod"),
        lambda make, n: k.index_reduce(make(n, 3), make.labels(3 * n, max(n, 1)), make(3 * n, 3), "amax"),
        lambda make, n: k.index_reduce(make(n, 3), make.labels(n, max(n, 1)), make(n, 3), "amin", False),
        lambda make, n: k.index_reduce(None, make.labels(3 * n, max(n, 1)), make(3 * n), rows=n + 2),
    ],
    "cdist": [
        lambda make, n: k.cdist(make(n, 67), make(9, 67)),
        lambda make, n: k.cdist(make(n, 37), make(9, 37)),
        lambda make, n: k.cdist(make(3, n, 7), make(3, 4, 7), 1.5, 1e-3),
    ],
    "cdist_backward": [
        lambda make, n: k.cdist_backward(make(n, 4), make(n, 37), make(4, 37), make.positive(n, 4)),
        lambda make, n: k.cdist_backward(make(3, n, 4), make(3, n, 7), make(3, 4, 7), make.positive(3, n, 4), 1),
    ],
    "cumsum": [
        lambda make, n: k.cumsum(make(n, 37), 1),
        lambda make, n: k.cumsum(make(3, n, 370), 1, True),
        lambda make, n: k.cumsum(make(), 0),
    ],
    "cumprod": [lambda make, n: k.cumprod(make(n, 37), -1), lambda make, n: k.cumprod(make(n, 37), 0)],
    "cumprod_backward": [lambda make, n: k.cumprod_backward(make(n, 7, 3), make(n, 7, 3), make(n, 7, 3), 1)],
    "logcumsumexp": [lambda make, n: k.logcumsumexp(make(n, 37), 1), lambda make, n: k.logcumsumexp(make(n, 370), 0)],
    "logcumsumexp_backward": [
        lambda make, n: k.logcumsumexp_backward(make(n, 7, 3), make(n, 7, 3), 9 + make.positive(n, 7, 3), 1),
    ],
    "dropout": [lambda make, n: k.dropout(make(n, 37), 0.3, 11)],
    "dropout_backward": [lambda make, n: k.dropout_backward(make(n, 37), 0.3, 11, 0)],
    "alpha_dropout": [lambda make, n: k.alpha_dropout(make(n, 37), 0.3, 11)],
    "alpha_dropout_backward": [lambda make, n: k.alpha_dropout_backward(make(n, 37), 0.3, 11)],
    "feature_dropout": [lambda make, n: k.feature_dropout(make(n, 37, 3), 0.3, 11)],
    "feature_dropout_backward": [lambda make, n: k.feature_dropout_backward(make(n, 37, 3), 0.3, 11)],
    "feature_alpha_dropout": [lambda make, n: k.feature_alpha_dropout(make(n, 37, 3), 0.3, 11)],
    "feature_alpha_dropout_backward": [lambda make, n: k.feature_alpha_dropout_backward(make(n, 37, 3), 0.3, 11)],
    "optimizer_step": [optimizer_step(rule) for rule in k.OPTIMIZER_RULES],
    "clip_grad_norm": [
        lambda make, n: k.clip_grad_norm([make.state(1009, n), make.state(3)], 0.5) and None,
        lambda make, n: k.clip_grad_norm([make.state(1009, n), make.state(3)], 0.5, np.inf) and None,
    ],
    "clip_grad_value": [lambda make, n: k.clip_grad_value([make.state(n, 37)], 0.5)],
}

CASES |= {
    "contiguous": [
        lambda make, n: k.contiguous(make(n, 5, 6, 7).transpose(0, 3, 1, 2)),
        lambda make, n: k.contiguous(make(n, 7).T),
    ],
    "prelu": [
        lambda make, n: k.prelu(make(n, 7, 5), make(7)),
        lambda make, n: k.prelu(make(n, 70), make(70)),
        lambda make, n: k.prelu(make(n, 7), make(1)),
    ],
    "prelu_backward": [
        lambda make, n: k.prelu_backward(make(n, 7, 5), make(n, 7, 5), make(7)),
        lambda make, n: k.prelu_backward(make(30 * n, 70), make(30 * n, 70), make(70)),
    ],
    "rrelu": [lambda make, n: k.rrelu(make(n, 37), 0.1, 0.4, 5, 2)],
    "rrelu_backward": [lambda make, n: k.rrelu_backward(make(n, 37), make(n, 37), 0.1, 0.4, 5, 2)],
    "glu": [lambda make, n: k.glu(make(n, 6, 5), 1)],
    "glu_backward": [lambda make, n: k.glu_backward(make(n, 3, 5), make(n, 6, 5), 1)],
}


def _elementwise(name, parameters):
    CASES[name] = [lambda make, n: getattr(k, name)(make.positive(n, 37), *parameters)]
    backward = f"{name}_backward"
    CASES[backward] = [lambda make, n: getattr(k, backward)(make(n, 37), make.positive(n, 37), *parameters)]


for _spec in FORMULAS.values():
    if not _spec.name.startswith("gelu"):
        _elementwise(_spec.name, [0.7 if usual is None else usual for usual in _spec.parameters.values()])


def _far(call):
    """Let indices have 64 bits, as those of images of more than 2**31 pixels."""

    def case(make, n):
        plans.forget()
        try:
            with mock.patch("fastnn_kernels.cpu.pool.plan.NARROW", 0):
                return call(make, n)
        finally:
            plans.forget()

    return case


CASES["max_pool2d"].append(_far(lambda make, n: k.max_pool2d(make(n, 3, 9, 41), 3, 2, 1, return_indices=True)))
CASES["max_pool_backward"].append(
    _far(lambda make, n: k.max_pool_backward(2, make(n, 3, 5, 6), make(n, 3, 9, 11), (3, 2, 1, 1, False)))
)


def _reductions(name):
    """Return calls of a reduction: over rows and columns, few and many, in one block and in several."""
    return [
        lambda make, n: getattr(k, name)(make(n, 37), 1),
        lambda make, n: getattr(k, name)(make(37, n), 0),
        lambda make, n: getattr(k, name)(make(n, 3, 5), 1, keepdims=True),
        lambda make, n: getattr(k, name)(make(n + 1, 40_000)),
        lambda make, n: getattr(k, name)(make(30_000, n), 0),
    ]


CASES |= {name: _reductions(name) for name in "sum mean var std prod max min argmax argmin".split()}
CASES |= elementwise_cases.CASES
