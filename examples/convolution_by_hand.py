"""Convolution as the textbooks draw it: a small filter slides over an image and takes a weighted sum at every place.

    image        filter    result
    1 1 1 0 0
    0 1 1 1 0    1 0 1     4 3 4
    0 0 1 1 1    0 1 0     2 4 3      4 = the image's upper left 3x3 under the filter:
    0 0 1 1 0    1 0 1     2 3 4          1 + 1 (upper corners) + 1 (centre) + 0 + 1 (lower corners)
    0 1 1 0 0

- The stride is how far the filter moves at a time. With stride 2, only every second sum is taken.
- Narrow: the filter stays inside the image, and the result is smaller by 2. Wide: zeros around the image let the filter
  stick out, so that its every number meets every pixel; with two zeros all round, 5x5 becomes 7x7. One zero all round
  would keep the size.
- Several filters give a result of several layers: three of them make a volume of depth 3.

Networks learn the numbers in their filters. Long before, people chose them: differences of neighbours find edges, means
of neighbours blur. The picture at the end shows what such filters make of a photograph.

In signal processing this sum is called a correlation (a convolution turns the filter around first); what networks
compute is the correlation, so scipy.signal.correlate2d must give the same numbers. Every result here is compared to it.
"""

from pathlib import Path

import numpy as np

from fastnn import functional

IMAGE = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]], float)
CROSS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], float)
DOWN = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
UP = DOWN[::-1]

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)  # right minus left, over three rows
BELL = np.exp(-(np.linspace(-2.5, 2.5, 15) ** 2) / 2)
FILTERS = {
    "edges from left to right": SOBEL,
    "edges from top to bottom": SOBEL.T,
    "all edges (Laplace)": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], float),
    "relief": np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], float),
    "sharpened": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], float),
    "blurred: mean of 9x9": np.full((9, 9), 1 / 81),
    "blurred: Gaussian": np.outer(BELL, BELL) / BELL.sum() ** 2,
}


def convolve(image, *filters, stride=1, padding=0):
    """Slide filters (KH, KW) over an image (H, W); give (number of filters, OH, OW)."""
    weight = np.stack(filters)[:, None]  # (filters, channels of the image, KH, KW)
    return functional.conv2d(image[None], weight, stride=stride, padding=padding)


def by_scipy(image, filter, stride=1, padding=0):
    """Compute the same with SciPy."""
    from scipy.signal import correlate2d

    return correlate2d(np.pad(image, padding), filter, "valid")[::stride, ::stride]


def by_hand():
    """Convolve the 5x5 image in all ways; give the results by name and the largest difference from SciPy's."""
    ways = {
        "narrow, stride 1": ((CROSS,), 1, 0),
        "narrow, stride 2": ((CROSS,), 2, 0),
        "wide, stride 1": ((CROSS,), 1, 2),
        "wide, stride 2": ((CROSS,), 2, 2),
        "three filters": ((CROSS, DOWN, UP), 1, 0),
    }
    results, worst = {}, 0.0
    for name, (filters, stride, padding) in ways.items():
        results[name] = convolve(IMAGE, *filters, stride=stride, padding=padding)
        expected = [by_scipy(IMAGE, filter, stride, padding) for filter in filters]
        worst = max(worst, np.abs(results[name] - expected).max())
        print(f"{name}: {' x '.join(map(str, results[name].shape))}")
        for rows in zip(*results[name], strict=True):
            print("    " + "     ".join(" ".join(f"{value:.0f}" for value in row) for row in rows))
    return results, worst


def photograph():
    """Give the photograph of Grace Hopper that comes with matplotlib, (3, H, W) from 0 to 1."""
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    with get_sample_data("grace_hopper.jpg") as file:
        return imread(file).transpose(2, 0, 1) / 255


def filtered(photo):
    """Filter the grey photograph in all ways; give the results by name and the largest difference from SciPy's."""
    grey, results, worst = photo.mean(0), {}, 0.0
    for name, filter in FILTERS.items():
        results[name] = convolve(grey, filter, padding=len(filter) // 2)[0]
        worst = max(worst, np.abs(results[name] - by_scipy(grey, filter, padding=len(filter) // 2)).max())
    return results, worst


def colours_blurred(photo):
    """Blur red, green and blue each on its own: three groups of one channel."""
    weight = np.broadcast_to(FILTERS["blurred: Gaussian"], (3, 1, 15, 15))
    return functional.conv2d(photo, weight, padding="same", groups=3)


def draw(photo, results, file):
    """Draw the photograph and what the filters made of it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 12.5), layout="constrained")
    axes = figure.subplots(3, 3).flat
    pictures = {"the photograph": photo, **results, "colours blurred": colours_blurred(photo)}
    for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
        if picture.ndim == 3:
            ax.imshow(picture.transpose(1, 2, 0).clip(0, 1))
        elif abs(FILTERS[name].sum()) < 0.5:  # differences: grey is zero (and zeros around the image make a frame)
            limit = np.percentile(np.abs(picture[1:-1, 1:-1]), 99.5)
            ax.imshow(picture, cmap="gray", vmin=-limit, vmax=limit)
        else:
            ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set_title(name)
        ax.set_axis_off()
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)


def main(picture=None):
    """Convolve by hand and on a photograph; return the small results and how far any is from SciPy's."""
    results, worst = by_hand()
    print(f"largest difference from scipy.signal.correlate2d: {worst:.1e}")
    photo = photograph()
    pictures, worst_of_photo = filtered(photo)
    print(f"largest difference on the photograph, {' x '.join(map(str, photo.shape))}: {worst_of_photo:.1e}")
    if picture is not None:
        draw(photo, pictures, picture)
        print(f"picture: {picture}")
    return {**results, "difference": max(worst, worst_of_photo)}


if __name__ == "__main__":
    main("demo/convolution_by_hand.png")
