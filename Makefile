# make demo    train on real digits, with a live progress bar; pictures land in demo/
# make test    linters, types and the whole test suite, one process per core
# make bench   measure every kernel beside NumPy and the other libraries that are installed
# make bounds  the kernel tests with Numba's bounds checks compiled in
# make cpus    all kernel tests as other CPUs run them: SSE2, SSE4.2, AVX2, AVX-512; ARGS="haswell" for one
# make memcheck    kernel tests under valgrind's memcheck, a selection; ARGS=--all for all of them
# make arm     kernel tests on ARM64, emulated, a selection; ARGS=--all for all, CHECK=1 with glibc's heap checks
# make reach   what LeNet reaches in 30 epochs, with five seeds
# make exhaustive    measure the error of every elementwise function over all 2^32 float32 arguments
# make lint    ruff and mypy only
# make clean   remove everything that was built
# make help    show these lines
#
# All that is needed beforehand is Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
ARGS ?=

.PHONY: demo test bench lint bounds cpus memcheck arm reach exhaustive clean help
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(RUN) -m fastnn demo --out demo $(ARGS)

# one process per core, whole files to each; ARGS="-n 0 ..." runs all in one process, for a debugger
test: lint
	$(RUN) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)
	$(RUN) -m ruff check
	$(RUN) -m mypy

bounds: $(STAMP)
	NUMBA_BOUNDSCHECK=1 $(RUN) -m pytest tests/kernels tests/functional -m "not slow" --ignore-glob='*test_ground*' $(ARGS)

cpus: $(STAMP)
	$(RUN) -m tests.kernels.test_cpus $(ARGS)

memcheck: $(STAMP)
	$(RUN) -m tests.memcheck $(ARGS)

arm: $(STAMP)
	$(RUN) -m tests.arm $(ARGS)

reach: $(STAMP)
	$(RUN) -m tests.train.test_reach $(ARGS)

exhaustive: $(STAMP)
	$(RUN) -m tests.exhaustive $(ARGS)

bench: $(BENCH_STAMP)
	$(RUN) -m bench $(ARGS)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fastnn needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --editable '.[dev]'
	@touch $@

# PyTorch for the CPU only comes from its own index; the default build for Linux is 3 GB larger:
# make bench TORCH_INDEX=URL-of-that-index
$(BENCH_STAMP): $(STAMP)
	$(if $(TORCH_INDEX),$(RUN) -m pip install --quiet torch --index-url $(TORCH_INDEX))
	$(RUN) -m pip install --quiet --editable '.[dev,bench]'
	@touch $@

clean:
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))
