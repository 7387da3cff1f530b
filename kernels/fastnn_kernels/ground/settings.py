"""Settings on which plans depend, where machine code reads them: see `lookup`."""

import ctypes

SETTINGS = (ctypes.c_int64 * 3)()
THREADS, PRECISION, BACKEND = range(len(SETTINGS))  # what stands where
