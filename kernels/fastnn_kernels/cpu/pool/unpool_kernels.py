"""Unpooling: values that go to indices of an image, and the gradient, which reads there."""

from ...ground.jit import kernel


@kernel("S[:,:,:], i8[:,:,:], S[:,:,:], i8[::1]", writes="out wrong", parallel=True)
def max_unpool3d__scatter(x, indices, out, wrong, lo, hi):
    """x, indices(B,C,N) -> out(B,C,M), zeros elsewhere; wrong(B): whether an index was outside.

    The range is over channels, of every image: they may be neighbours in memory.
    """
    for b in range(out.shape[0]):
        if out.strides[2] <= out.strides[1]:
            for c in range(lo, hi):
                values, index, plane = x[b, c], indices[b, c], out[b, c]
                for i in range(plane.size):
                    plane[i] = 0
                for i in range(values.size):
                    if 0 <= index[i] < plane.size:  # a caller's index: never write out of bounds
                        plane[index[i]] = values[i]
                    else:
                        wrong[b] = 1
            continue
        for i in range(out.shape[2]):
            pixel = out[b, lo:hi, i]
            for c in range(pixel.size):
                pixel[c] = 0
        for i in range(x.shape[2]):
            values, index, image = x[b, lo:hi, i], indices[b, lo:hi, i], out[b, lo:hi]
            for c in range(values.size):
                if 0 <= index[c] < out.shape[2]:
                    image[c, index[c]] = values[c]
                else:
                    wrong[b] = 1


@kernel("S[:,:,:], i8[:,:,:], S[:,:,:], i8[::1]", writes="dx wrong", parallel=True)
def max_unpool_backward__gather(dy, indices, dx, wrong, lo, hi):
    """dy(B,C,M), indices(B,C,N) -> dx(B,C,N), wrong(B): whether an index was outside. The range is over B."""
    for b in range(lo, hi):
        wrong[b] = 0
        for c in range(dx.shape[1]):
            image, index, values = dy[b, c], indices[b, c], dx[b, c]
            for i in range(values.size):
                inside = 0 <= index[i] < image.size
                values[i] = image[index[i] if inside else 0]
                if not inside:
                    wrong[b] = 1
