"""The grains of all kernels: the least work of a task, below which another thread is not worth waking.

A launch of two tasks takes 1 to 2 us. To retune a machine, change the numbers here.
"""

# multiplications
CONVOLUTION = 1 << 20
PRODUCT = 1 << 18  # of matrices, and numbers that are packed for one
DEPTHWISE = 1 << 17

# numbers
CHEAP = 1 << 17  # of a function that costs less than reading its argument
MOVES = 1 << 16  # that are copied to other places, or bytes of rows
ELEMENTS = 32768  # of a function of one element
ROWS = 32768  # of sums and maxima along rows
COPIES = 32768  # of rows that are copied with a border
SUMS = 16384  # of losses, norms, windows, resampling, optimizers
RANDOM = 8192  # that are drawn and warped
