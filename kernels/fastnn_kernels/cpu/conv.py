"""Convolution and its two gradients.

A window is described by an int64 array: stride, padding (top, left) and dilation, each by row and column. At (row,
column) of the weight, output pixel (i, ...) meets input pixel (i * stride + row * dilation - padding, ...).
"""

from .._jit import jitted, kernel


@jitted
def reach(offset, stride, size, count):
    """Return which outputs [lo, hi) of `count` have a pixel at `offset` from where their windows start."""
    lo = 0 if offset >= 0 else (stride - 1 - offset) // stride
    hi = (size - 1 - offset) // stride + 1 if size > offset else 0
    return min(lo, count), min(max(hi, lo), count)


@kernel("T[:,:,:,:], T[:,:,:,:], T[::1], i8[::1], T[:,:,:,:]", writes="y", parallel=True)
def conv2d__direct(x, w, bias, window, y, lo, hi):
    """x(B,C,H,W), w(OC,C/groups,KH,KW), bias(OC) -> y(B,OC,OH,OW). The range is over the B * OC planes."""
    sh, sw, ph, pw, dh, dw = window
    height, width = x.shape[2:]
    out_channels, channels, kh, kw = w.shape
    groups = x.shape[1] // max(channels, 1)
    for p in range(lo, hi):
        b, o = divmod(p, out_channels)
        first = o // (out_channels // groups) * channels if channels else 0
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                y[b, o, i, j] = bias[o]
        for c in range(channels):
            for row in range(kh):
                top, bottom = reach(row * dh - ph, sh, height, y.shape[2])
                for column in range(kw):
                    left, right = reach(column * dw - pw, sw, width, y.shape[3])
                    factor = w[o, c, row, column]
                    for i in range(top, bottom):
                        for j in range(left, right):
                            value = x[b, first + c, i * sh + row * dh - ph, j * sw + column * dw - pw]
                            y[b, o, i, j] += factor * value


@kernel("T[:,:,:,:], T[:,:,:,:], i8[::1], T[:,:,:,:]", writes="dx", parallel=True)
def conv2d_backward_input__direct(dy, w, window, dx, lo, hi):
    """dy(B,OC,OH,OW), w(OC,C/groups,KH,KW) -> dx(B,C,H,W). The range is over the B * C planes."""
    sh, sw, ph, pw, dh, dw = window
    height, width = dx.shape[2:]
    out_channels, channels, kh, kw = w.shape
    per_group = out_channels // max(dx.shape[1] // max(channels, 1), 1)
    for p in range(lo, hi):
        b, c = divmod(p, dx.shape[1])
        group, c_in_group = divmod(c, channels)
        for i in range(height):
            for j in range(width):
                dx[b, c, i, j] = 0
        for o in range(group * per_group, (group + 1) * per_group):
            for row in range(kh):
                top, bottom = reach(row * dh - ph, sh, height, dy.shape[2])
                for column in range(kw):
                    left, right = reach(column * dw - pw, sw, width, dy.shape[3])
                    factor = w[o, c_in_group, row, column]
                    for i in range(top, bottom):
                        for j in range(left, right):
                            dx[b, c, i * sh + row * dh - ph, j * sw + column * dw - pw] += factor * dy[b, o, i, j]


@kernel("T[:,:,:,:], T[:,:,:,:], i8[::1], T[:,:,:,:]", writes="dw", parallel=True)
def conv2d_backward_weight__direct(dy, x, window, dw, lo, hi):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C/groups,KH,KW). The range is over the OC * C/groups planes of dw."""
    sh, sw, ph, pw, d_h, d_w = window
    height, width = x.shape[2:]
    out_channels, channels, kh, kw = dw.shape
    groups = x.shape[1] // max(channels, 1)
    for p in range(lo, hi):
        o, c = divmod(p, channels)
        first = o // (out_channels // groups) * channels
        for row in range(kh):
            top, bottom = reach(row * d_h - ph, sh, height, dy.shape[2])
            for column in range(kw):
                left, right = reach(column * d_w - pw, sw, width, dy.shape[3])
                total = dy.dtype.type(0)
                for b in range(x.shape[0]):
                    for i in range(top, bottom):
                        for j in range(left, right):
                            value = x[b, first + c, i * sh + row * d_h - ph, j * sw + column * d_w - pw]
                            total += dy[b, o, i, j] * value
                dw[o, c, row, column] = total


@kernel("T[:,:,:,:], T[::1]", writes="dbias", parallel=True)
def conv2d_backward_bias__planes(dy, dbias, lo, hi):
    """dy(B,OC,OH,OW) -> dbias(OC). The range is over OC."""
    for o in range(lo, hi):
        total = 0.0
        for b in range(dy.shape[0]):
            part = dy.dtype.type(0)
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    part += dy[b, o, i, j]
            total += part
        dbias[o] = total
