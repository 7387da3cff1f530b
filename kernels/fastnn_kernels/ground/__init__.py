"""What every family stands on: compiling, caching, calling, planning, memory, threads and argument checks."""
