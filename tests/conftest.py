"""Settings all tests share, and how they are dealt out to several processes (`make test` starts one per core)."""

import os
import shutil
import tempfile

os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# A kernel compiles at its first call, which may take seconds: no deadline. Derandomized: a failure can be repeated.
settings.register_profile(
    "fastnn", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fastnn"))


# The contract test compiles nearly everything: matrix products, convolutions, pooling and so on to the elementwise
# functions. Others start from the other end, so that two processes seldom compile the same at the same time.
FIRST = [
    "test_contract.py", "test_losses.py", "test_activation.py", "test_optimizer.py", "test_arithmetic.py",
    "test_dropout.py", "test_augment.py", "test_loss.py", "test_norm.py", "test_softmax.py",
]  # fmt: skip
LAST = ["test_layouts.py", "test_misuse.py", "test_cpus.py"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One process per core that this one may use (affinity, control group, NUMBA_NUM_THREADS), up to eight."""
    from fastnn_kernels.ground.threads import default_num_threads

    return min(default_num_threads(), 8)


def pytest_configure(config):
    """Let the processes share the cores: tests that are about threads set their number themselves."""
    if hasattr(config, "workerinput"):
        return
    processes = len(config.getoption("tx", None) or ())
    if processes:
        from fastnn_kernels.ground.threads import default_num_threads

        share = str(max(1, default_num_threads() // processes))
        for library in ("NUMBA", "OPENBLAS"):  # the processes inherit this
            os.environ.setdefault(f"{library}_NUM_THREADS", share)
    os.environ["FASTNN_LEGS"] = tempfile.mkdtemp(prefix="fastnn-legs-")


def start_legs(config, tests):
    """Start the tests for other CPUs, which take minutes, before all others: see kernels/test_cpus.py."""
    if any("test_kernels_on_another_cpu" in test for test in tests) and LEGS not in config.stash:
        from tests.kernels.test_cpus import Legs

        config.stash[LEGS] = Legs(os.environ["FASTNN_LEGS"])
        config.stash[LEGS].start()


LEGS = pytest.StashKey()


def pytest_collection_finish(session):
    """Start them from the only process there is ..."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        start_legs(session.config, [item.nodeid for item in session.items])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids):
    """... or from the one that deals the tests out, when it first hears which there are."""
    start_legs(node.config, ids)


def pytest_unconfigure(config):
    """Stop what still runs, and clear its reports away."""
    if not hasattr(config, "workerinput"):
        if LEGS in config.stash:
            config.stash[LEGS].stop()
        shutil.rmtree(os.environ.pop("FASTNN_LEGS", ""), ignore_errors=True)


def pytest_collection_modifyitems(items):
    """Put long files first, so that no process is left with one at the end, and what waits for others last."""
    files = [*FIRST, "", *LAST]
    rank = {name: number for number, name in enumerate(files)}
    items.sort(key=lambda item: rank.get(item.path.name, rank[""]))


@pytest.fixture
def rng():
    """Return a generator that gives the same numbers in every run."""
    return np.random.default_rng(20260)
