"""Feeding a net: augmentation of whole batches beside scipy.ndimage, and shuffled batches beside batches in memory.

"augment" calls are whole batches; scipy takes image after image, as it must. "feed" is one epoch of the training step
784-16-16-10 with batches of 32 from a `DataLoader`, per step; its peer takes the steps on batches that lie ready.
"""

from __future__ import annotations

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("scipy", "memory")
STEPS = 125
SHAPES = {"digits": (32, 1, 28, 28), "photographs": (8, 3, 224, 224)}
BORDERS = {"constant": "grid-constant", "reflect": "mirror", "replicate": "nearest", "circular": "grid-wrap"}


def _augment(name, images, short=True, **params):
    shape = SHAPES[images]
    title = f"{name} {images} {'x'.join(map(str, shape))} {params.get('border', '')}".strip()
    return Case("data", "augment", title, {"kind": name, "shape": shape, **params}, bars={"scipy": 5.0}, short=short)


CASES = [
    *(_augment("affine", images) for images in SHAPES),
    _augment("nearest", "digits", short=False),
    *(_augment("affine", "digits", short=False, border=border) for border in ("reflect", "circular")),
    *(_augment("field", images, short=images == "digits") for images in SHAPES),
    *(_augment("elastic", images) for images in SHAPES),
    Case("data", "feed", "784-16-16-10, batch 32, shuffled", {"kind": "feed"}, bars={"memory": 0.95}),
]  # fmt: skip


def _inputs(params):
    """Return images, a matrix for each and a field of displacements: the same in every process."""
    rng = np.random.default_rng(0)
    shape = params["shape"]
    images = rng.random(shape, np.float32)
    angle = np.deg2rad(rng.uniform(-15, 15, shape[0]))
    matrix = np.zeros((shape[0], 2, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = np.cos(angle)
    matrix[:, 0, 1], matrix[:, 1, 0] = -np.sin(angle), np.sin(angle)
    matrix[:, :, 2] = rng.uniform(-2, 2, (shape[0], 2))
    return images, matrix, rng.uniform(-2, 2, (shape[0], 2, *shape[2:])).astype(np.float32)


def _summary(params, y):
    """Return the corner of the last image, or of random results what does not depend on chance."""
    if params["kind"] == "elastic":
        return [float(np.mean(y)), float(np.std(y))]
    return np.asarray(y)[-1, -1, :6, :40].ravel().tolist()


def verify(case, summaries):
    """Complain about results that differ from those of the definition."""
    from tests.reference import augment as reference

    params = case.params
    if params["kind"] == "feed":
        return {name: "the loss did not fall" for name, (first, last) in summaries.items() if not last < 0.7 * first}
    images, matrix, field = (part[-1:, -2:] for part in _inputs(params))
    if params["kind"] == "elastic":
        expected, allowed = [0.48, 0.21], 0.05
    else:
        kind = params["kind"]
        size = 6, min(40, images.shape[3])
        near = field[:, :, : size[0], : size[1]] if kind == "field" else None
        matrix = matrix if kind != "field" else np.eye(2, 3)[None]
        mode, border = "nearest" if kind == "nearest" else "bilinear", params.get("border", "constant")
        expected, allowed = reference.warp(images[:, -1:], matrix, near, size, mode, border, 0.0)[0, 0].ravel(), 1e-3
    complaints = {}
    for name, values in summaries.items():
        wrong = ~(np.abs(np.subtract(values, expected)) <= allowed)
        if wrong.mean() > (0.02 if params["kind"] == "nearest" else 0):  # half-way between two, rounding decides
            complaints[name] = f"{wrong.sum()} of {wrong.size} numbers are wrong"
    return complaints


def build(library, case, threads):
    """Build the case in the process of one library."""
    params = case.params
    if library != "fastnn" and (params["kind"] == "feed") != (library == "memory"):
        raise Unsupported
    if params["kind"] == "feed":
        return {"": _feed(library)}
    call = globals()[f"_{library}"](params, *_inputs(params))
    return {"": Calls([call], _summary(params, call()))}


def _fastnn(params, images, matrix, field):
    import fastnn_kernels as kernels
    from fastnn.data import Elastic

    border, mode = params.get("border", "constant"), "nearest" if params["kind"] == "nearest" else "bilinear"
    if params["kind"] == "elastic":
        transform, generator = Elastic(34, 4), np.random.default_rng(1)
        return lambda: transform(images, generator)
    if params["kind"] == "field":
        return lambda: kernels.warp(images, np.eye(2, 3), field)
    return lambda: kernels.warp(images, matrix, mode=mode, border=border)


def _scipy(params, images, matrix, field):
    from scipy import ndimage

    border, order = BORDERS[params.get("border", "constant")], 0 if params["kind"] == "nearest" else 1
    grid = np.mgrid[: images.shape[2], : images.shape[3]].astype(np.float32)
    rng = np.random.default_rng(1)

    def warped(at):
        made = np.empty_like(images)
        for b, c in np.ndindex(images.shape[:2]):
            ndimage.map_coordinates(images[b, c], at[b], made[b, c], order=1, mode="grid-constant", prefilter=False)
        return made

    def elastic():
        raw = rng.uniform(-34, 34, field.shape).astype(np.float32)
        return warped(grid + ndimage.gaussian_filter(raw, (0, 0, 4, 4), mode="constant"))

    def affine():
        made = np.empty_like(images)
        for b, c in np.ndindex(images.shape[:2]):
            linear, offset = matrix[b, :, :2], matrix[b, :, 2]
            ndimage.affine_transform(
                images[b, c], linear, offset, output=made[b, c], order=order, mode=border, prefilter=False
            )
        return made

    return {"elastic": elastic, "field": lambda: warped(grid + field)}.get(params["kind"], affine)


def _feed(library):
    """Return one call per step of an epoch; the first call of an epoch begins it."""
    import fastnn
    from fastnn import functional, nn, optim
    from fastnn.data import DataLoader

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 32 * STEPS)
    x = np.maximum(rng.random((32 * STEPS, 784), np.float32) - np.float32(0.8), 0)
    x[np.arange(len(x)), 78 * labels] = 5
    fastnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    if library == "memory":
        feed = [(x[i : i + 32], labels[i : i + 32]) for i in range(0, len(x), 32)]
    else:
        feed = DataLoader((x, labels), 32, shuffle=True, seed=0)
    batches = iter(())

    def step():
        nonlocal batches
        batch = next(batches, None)
        if batch is None:
            batches = iter(feed)
            batch = next(batches)
        loss = functional.cross_entropy(model(batch[0]), batch[1])
        value = loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return value

    losses = [step() for _ in range(2 * STEPS)]
    return Calls([step] * STEPS, [losses[0], losses[-1]])
