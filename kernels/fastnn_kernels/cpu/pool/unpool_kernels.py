"""Unpooling: values that go to indices of an image, and the gradient, which reads there."""

from ...ground.jit import kernel


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
