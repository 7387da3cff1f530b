"""Changes to images that do not change what they show, for the `transform` of `DataLoader` and `fit`.

A transform is called with a batch of images (B, C, H, W) and a generator, and gives new images; every image gets random
numbers of its own. They depend on the generator alone, and not on the number of threads.

All that moves pixels (`Flip`, `Shift`, `Rotate`, `Scale`, `Shear`, `Crop`, `Affine`, `Elastic`) says where each pixel
of the result comes from, and one kernel looks there. So `Compose` multiplies the matrices of neighbours and samples
only once: a chain of them costs as much as one, and blurs no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import fastnn_kernels as kernels

Array = np.ndarray[Any, Any]
Generator = np.random.Generator
Size = tuple[int, int]
Range = float | tuple[float, float]


class Transform:
    """Base of the transforms here. Any function (images, generator) -> images will do in their place."""

    pairs = False  # whether it is called with targets, too, and gives both

    def __call__(self, images: Array, generator: Generator) -> Array:
        """Give new images."""
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({settings})"


class Geometric(Transform):
    """What moves pixels: says for the pixels of the result where they come from.

    Parameters
    ----------
    p : float
        The share of images that are changed.
    mode : "bilinear" or "nearest"
        How to read between pixels.
    border : "constant", "reflect", "replicate" or "circular"
        What lies outside the image: `value`, its mirror image, its edge, the image again.
    value : float
        For border="constant".
    """

    def __init__(self, *, p: float = 1.0, mode: str = "bilinear", border: str = "constant", value: float = 0.0) -> None:
        name = type(self).__name__
        if not 0 <= p <= 1:
            raise ValueError(f"{name}: p must be from 0 to 1, got {p}")
        if mode not in ("bilinear", "nearest"):
            raise ValueError(f"{name}: mode must be 'bilinear' or 'nearest', got {mode!r}")
        if border not in kernels.PAD_MODES:
            raise ValueError(f"{name}: border must be one of {', '.join(kernels.PAD_MODES)}, got {border!r}")
        self.p, self.mode, self.border, self.value = p, mode, border, value

    def size(self, size: Size) -> Size:
        """Give the size of the result for images of this size."""
        return size

    def matrices(self, count: int, size: Size, generator: Generator) -> Array:
        """Give (B, 3, 3): a place in the result, (row, column, 1) from the image's centre, to one in the input."""
        raise NotImplementedError

    def field(self, count: int, size: Size, dtype: Any, generator: Generator) -> Array | None:
        """Give displacements (B, 2, H, W) to be added to places before the matrix takes them on."""
        return None

    def __call__(self, images: Array, generator: Generator) -> Array:
        """Give new images."""
        return _sample([self], images, generator)


def _sample(chain: Sequence[Geometric], images: Array, generator: Generator) -> Array:
    """Apply transforms one after the other in one go; only the last may have a field."""
    if images.ndim != 4:
        raise ValueError(f"{type(chain[0]).__name__}: expected images (B, C, H, W), got shape {images.shape}")
    images = _floating(images)
    count, size = len(images), (images.shape[2], images.shape[3])
    matrix: Array = np.broadcast_to(np.eye(3), (count, 3, 3))
    field = None
    centre = _translation(*_centre(size))
    for transform in chain:
        made = transform.matrices(count, size, generator)
        if transform.p < 1:
            made = np.where((generator.random(count) < transform.p)[:, None, None], made, np.eye(3))
        matrix = matrix @ made
        field = transform.field(count, size, images.dtype, generator)
        size = transform.size(size)
    matrix = centre @ matrix @ _translation(*(-c for c in _centre(size)))
    mode = "bilinear" if any(transform.mode == "bilinear" for transform in chain) else "nearest"
    made = kernels.warp(images, matrix[:, :2], field, size, mode=mode, border=chain[0].border, value=chain[0].value)
    return made  # type: ignore[no-any-return]


def _centre(size: Size) -> tuple[float, float]:
    return (size[0] - 1) / 2, (size[1] - 1) / 2


def _translation(row: Any, column: Any) -> Array:
    matrix = np.zeros((*np.shape(row), 3, 3))
    matrix[..., :, :] = np.eye(3)
    matrix[..., 0, 2], matrix[..., 1, 2] = row, column
    return matrix


def _linear(count: int, rr: Any, rc: Any, cr: Any, cc: Any) -> Array:
    matrix = np.zeros((count, 3, 3))
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 2, 2] = rr, rc, cr, cc, 1
    return matrix


def _floating(images: Array) -> Array:
    """Give images as floating-point numbers; bytes become float32 and keep their values. TypeError for other kinds."""
    if images.dtype.kind not in "biuf":
        raise TypeError(f"images must be numbers, got {images.dtype} (shape {images.shape})")
    return images if images.dtype.kind == "f" else images.astype(np.float32)


def _range(where: str, name: str, value: Range, least: float = -math.inf) -> tuple[float, float]:
    """Give (low, high) from a number, which stands for -number .. number, or from a pair."""
    pair = (-value, value) if isinstance(value, (int, float)) else tuple(value)
    if len(pair) != 2 or not (math.isfinite(pair[0]) and math.isfinite(pair[1]) and least <= pair[0] <= pair[1]):
        raise ValueError(f"{where}: {name} must be a number or a range (low, high) of finite numbers, got {value!r}")
    return float(pair[0]), float(pair[1])


class Flip(Geometric):
    """Mirror images: left to right if `horizontal`, upside down if `vertical`; each for a share p of the images."""

    def __init__(self, horizontal: bool = True, vertical: bool = False, *, p: float = 0.5, **options: Any) -> None:
        super().__init__(**{"p": p, "mode": "nearest", **options})
        self.horizontal, self.vertical = horizontal, vertical

    def matrices(self, count: int, size: Size, generator: Generator) -> Array:
        """Give the mirrors."""
        down, right = (-1.0 if turned else 1.0 for turned in (self.vertical, self.horizontal))
        return np.broadcast_to(np.diag([down, right, 1.0]), (count, 3, 3))


class Shift(Geometric):
    """Move images by up to `pixels` in each direction, every whole number of pixels equally likely.

    pixels: an integer, or a pair for height and width. With ``whole=False`` any fraction of a pixel may come.

    Examples
    --------
    >>> images = np.ones((2, 1, 3, 3))
    >>> Shift(1)(images, np.random.default_rng(0)).shape
    (2, 1, 3, 3)
    """

    def __init__(self, pixels: float | tuple[float, float], *, whole: bool = True, **options: Any) -> None:
        super().__init__(**{"mode": "nearest" if whole else "bilinear", **options})
        down, right = (pixels, pixels) if isinstance(pixels, (int, float)) else pixels
        if not (0 <= down < 2**30 and 0 <= right < 2**30):
            raise ValueError(f"Shift: pixels must not be negative, got {pixels}")
        self.pixels, self.whole = (down, right), whole

    def matrices(self, count: int, size: Size, generator: Generator) -> Array:
        """Draw the shifts."""
        most = np.array(self.pixels)
        by: Array = most * generator.uniform(-1.0, 1.0, (count, 2))
        if self.whole:
            by = generator.integers(-np.floor(most).astype(int), np.floor(most).astype(int) + 1, (count, 2))
        return _translation(by[:, 0], by[:, 1])


class Affine(Geometric):
    """Turn, scale, shear and shift images around their centres, all at random.

    Parameters
    ----------
    degrees, shear : float or (low, high)
        Angles counter-clockwise, and of slanting; a number a stands for -a .. a.
    scale : (low, high)
        Factors, larger than 0: 2 shows things twice as large. Drawn evenly on a logarithmic scale.
    shift : float or (low, high)
        In pixels, in both directions.
    """

    def __init__(
        self,
        degrees: Range = 0.0,
        *,
        scale: tuple[float, float] = (1.0, 1.0),
        shear: Range = 0.0,
        shift: Range = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        name = type(self).__name__
        self.degrees, self.shear = _range(name, "degrees", degrees), _range(name, "shear", shear)
        self.scale, self.shift = _range(name, "scale", scale), _range(name, "shift", shift)
        if not self.scale[0] > 0:
            raise ValueError(f"{name}: scale must be larger than 0, got {scale!r}")
        if not -90 < self.shear[0] <= self.shear[1] < 90:
            raise ValueError(f"{name}: shear must be between -90 and 90 degrees, got {shear!r}")

    def matrices(self, count: int, size: Size, generator: Generator) -> Array:
        """Draw the angles, factors and shifts."""
        angle, slant = (np.deg2rad(generator.uniform(*limits, count)) for limits in (self.degrees, self.shear))
        factor = np.exp(generator.uniform(math.log(self.scale[0]), math.log(self.scale[1]), count))
        by = generator.uniform(*self.shift, (count, 2))
        cos, sin = np.cos(angle) / factor, np.sin(angle) / factor
        # from the result back to the input: undo the shift, the rotation and scale, and the shear, in that order
        matrix = _linear(count, 1, 0, np.tan(slant), 1) @ _linear(count, cos, sin, -sin, cos)
        return matrix @ _translation(by[:, 0], by[:, 1])


class Rotate(Affine):
    """Turn images around their centres by angles up to `degrees`, or of a range (low, high)."""

    def __init__(self, degrees: Range, **options: Any) -> None:
        super().__init__(degrees, **options)


class Scale(Affine):
    """Show things larger or smaller by a factor of the range (low, high), drawn evenly on a logarithmic scale."""

    def __init__(self, low: float, high: float, **options: Any) -> None:
        super().__init__(scale=(low, high), **options)


class Shear(Affine):
    """Slant images by angles up to `degrees`, or of a range (low, high)."""

    def __init__(self, degrees: Range, **options: Any) -> None:
        super().__init__(shear=degrees, **options)


class Crop(Geometric):
    """Cut a rectangle of `size` from a random place of each image, after `padding` pixels of border on each side.

    Raises ValueError when an image is smaller than what is to be cut from it.
    """

    def __init__(self, size: int | Size, padding: int = 0, **options: Any) -> None:
        super().__init__(**{"mode": "nearest", **options})
        self._size: Size = (size, size) if isinstance(size, (int, np.integer)) else (size[0], size[1])
        if min(self._size) < 1 or padding < 0:
            raise ValueError(f"Crop: size must be at least 1 and padding at least 0, got {size} and {padding}")
        self.padding = padding

    def size(self, size: Size) -> Size:
        """Give the size of the result."""
        return self._size

    def matrices(self, count: int, size: Size, generator: Generator) -> Array:
        """Draw the places."""
        room = [side + 2 * self.padding - cut for side, cut in zip(size, self._size, strict=True)]
        if min(room) < 0:
            raise ValueError(f"Crop: images of {size} with padding {self.padding} are smaller than {self._size}")
        corners = [generator.integers(0, free + 1, count) - free / 2 for free in room]
        return _translation(*corners)


class Elastic(Geometric):
    """Deform images as if drawn on rubber (Simard et al., Best practices for convolutional networks, 2003).

    Every pixel moves by a random displacement of up to `alpha` pixels; but first the displacements are smoothed by a
    Gaussian of `sigma` pixels, which makes them smaller: about alpha / (6 sigma) in the root mean square. Simard has
    alpha 34 and sigma 4 for digits of 29 x 29. From sigma 4 on displacements are drawn for every second pixel only,
    from 8 on for every fourth, and so on, as much larger: after smoothing nobody can tell.
    """

    def __init__(self, alpha: float = 34.0, sigma: float = 4.0, **options: Any) -> None:
        super().__init__(**options)
        if not (alpha >= 0 and sigma > 0 and math.isfinite(alpha + sigma)):
            raise ValueError(f"Elastic: alpha must be at least 0 and sigma larger than 0, got {alpha} and {sigma}")
        self.alpha, self.sigma = alpha, sigma

    def matrices(self, count: int, size: Size, generator: Generator) -> Array:
        """Give identities: all is in the field."""
        return np.broadcast_to(np.eye(3), (count, 3, 3))

    def field(self, count: int, size: Size, dtype: Any, generator: Generator) -> Array:
        """Draw displacements and smooth them: a product with a banded matrix from either side."""
        step = max(int(self.sigma / 2), 1)
        down, right = (_smoother(side, self.sigma, step, np.dtype(dtype).str) for side in size)
        coarse, most = (count * 2, down.shape[1], right.shape[1]), self.alpha * step
        raw = kernels.uniform(coarse, -most, most, seed=_seed(generator), dtype=dtype)
        field = kernels.matmul(down, kernels.matmul(raw, right.T)).reshape(count, 2, *size)
        if self.p < 1:
            field *= (generator.random(count) < self.p).astype(dtype)[:, None, None, None]
        return field  # type: ignore[no-any-return]


@lru_cache(maxsize=16)
def _smoother(side: int, sigma: float, step: int, dtype: str) -> Array:
    """Give the matrix (side, side / step) that spreads every step-th pixel by a Gaussian; outside are zeros."""
    drawn = (np.arange(-(-side // step)) + 0.5) * step - 0.5
    wide = np.arange(-math.ceil(5 * sigma), math.ceil(5 * sigma) + 1)
    smoother: Array = np.exp(-0.5 * ((np.arange(side)[:, None] - drawn) / sigma) ** 2)
    smoother /= np.exp(-0.5 * (wide / sigma) ** 2).sum()
    return smoother.astype(dtype)


class Noise(Transform):
    """Add normally distributed noise of standard deviation `deviation`."""

    def __init__(self, deviation: float) -> None:
        if not 0 <= deviation < math.inf:
            raise ValueError(f"Noise: deviation must be a number from 0, got {deviation}")
        self.deviation = deviation

    def __call__(self, images: Array, generator: Generator) -> Array:
        """Give noisy images."""
        return kernels.noise(_floating(images), self.deviation, seed=_seed(generator))  # type: ignore[no-any-return]


class Cutout(Transform):
    """Fill a square of side `size` around a random pixel with `value`; it may reach over the edge.

    DeVries & Taylor, arXiv:1708.04552. p: the share of images.
    """

    def __init__(self, size: int, *, p: float = 1.0, value: float = 0.0) -> None:
        if size < 1 or not 0 <= p <= 1:
            raise ValueError(f"Cutout: size must be at least 1 and p from 0 to 1, got {size} and {p}")
        self.side, self.p, self.value = size, p, value

    def __call__(self, images: Array, generator: Generator) -> Array:
        """Give images with holes."""
        if images.ndim != 4:
            raise ValueError(f"Cutout: expected images (B, C, H, W), got shape {images.shape}")
        corner = generator.integers(0, np.array(images.shape[2:]), (len(images), 2)) - self.side // 2
        side = self.side * (generator.random((len(images), 1)) < self.p)
        boxes = np.concatenate([corner, corner + side], axis=1)
        return kernels.erase(_floating(images), boxes, self.value)  # type: ignore[no-any-return]


class Mixup(Transform):
    """Blend every sample with another one of its batch, and their targets likewise (Zhang et al., arXiv:1710.09412).

    The shares are drawn from the beta distribution (alpha, alpha). Integer targets become probabilities of `classes`
    classes, which `cross_entropy` takes; floating-point targets are blended as they are.
    """

    pairs = True

    def __init__(self, alpha: float = 0.2, classes: int | None = None) -> None:
        if not alpha > 0:
            raise ValueError(f"Mixup: alpha must be larger than 0, got {alpha}")
        self.alpha, self.classes = alpha, classes

    def __call__(self, samples: Array, targets: Any, generator: Any = None) -> Any:  # type: ignore[override]
        """Give blended samples and targets."""
        if generator is None:
            raise TypeError("Mixup: called as (samples, targets, generator), for it changes targets as well")
        samples, count = _floating(samples), len(samples)
        if targets.dtype.kind in "iub":
            targets = self._probabilities(targets, samples.dtype)
        share, other = generator.beta(self.alpha, self.alpha, count), generator.permutation(count)
        return kernels.mix(samples, other, share), kernels.mix(targets, other, share)

    def _probabilities(self, labels: Array, dtype: Any) -> Array:
        if self.classes is None:
            raise ValueError("Mixup: blending integer targets needs their number of classes: Mixup(classes=10)")
        if labels.ndim != 1 or not 0 <= labels.min(initial=0) <= labels.max(initial=0) < self.classes:
            raise ValueError(
                f"Mixup: targets must be labels (B,) in 0..{self.classes - 1}, got shape {labels.shape} "
                f"with {labels.min(initial=0)}..{labels.max(initial=0)}"
            )
        return np.eye(self.classes, dtype=dtype)[labels.astype(np.intp)]


class Compose(Transform):
    """Apply transforms one after the other; neighbours that move pixels in one go.

    Their matrices are multiplied if they agree about what lies outside the image (`border` and `value`); an `Elastic`
    ends such a group. What one of them moves out of the image the next one may therefore bring back.

    Examples
    --------
    >>> augment = Compose(Rotate(10), Scale(0.9, 1.1), Shift(2), Noise(0.05))
    >>> augment(np.zeros((8, 1, 28, 28), np.float32), np.random.default_rng(0)).shape
    (8, 1, 28, 28)
    """

    def __init__(self, *transforms: Callable[..., Any]) -> None:
        for transform in transforms:
            if not callable(transform):
                raise TypeError(f"Compose: expected transforms one by one, got {type(transform).__name__}")
        self.transforms = transforms
        self.pairs = any(getattr(transform, "pairs", False) for transform in transforms)
        self._chains: list[list[Callable[..., Any]]] = []
        for transform in transforms:
            if self._chains and _join(self._chains[-1][-1], transform):
                self._chains[-1].append(transform)
            else:
                self._chains.append([transform])

    def __call__(self, samples: Array, *rest: Any) -> Any:
        """Apply them; with targets between samples and generator if one of them changes those."""
        *targets, generator = rest
        for chain in self._chains:
            if isinstance(chain[0], Geometric):
                samples = _sample(chain, samples, generator)  # type: ignore[arg-type]
            elif getattr(chain[0], "pairs", False):
                samples, targets[0] = chain[0](samples, targets[0], generator)
            else:
                samples = chain[0](samples, generator)
        return (samples, *targets) if targets else samples


def _join(first: Any, second: Any) -> bool:
    """Say whether one sampling can do what both do."""
    if not (isinstance(first, Geometric) and isinstance(second, Geometric)) or isinstance(first, Elastic):
        return False
    return (first.border, first.value) == (second.border, second.value)


def _seed(generator: Generator) -> int:
    """Draw the key of a kernel's own random numbers."""
    return int(generator.integers(2**64, dtype=np.uint64))
