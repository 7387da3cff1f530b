"""Threads: any number gives the same bits, forked children compute serially, concurrent launches agree."""

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from fastnn_kernels.ground import environment as _environment
from fastnn_kernels.ground import threads as layer
from fastnn_kernels.ground.jit import kernel
from fastnn_kernels.ground.threads import get_num_threads, set_num_threads, tasks, threads


@kernel("T[:,::1], T[::1]", parallel=True)
def probe__row_sums(x, out, lo, hi):
    """x(M,N) -> out(M)"""
    for i in range(lo, hi):
        total = x[i, 0]
        for j in range(1, x.shape[1]):
            total += x[i, j]
        out[i] = total


@kernel("i8[::1]", parallel=True)
def probe__visits(out, lo, hi):
    """Out(M), one added to each element that is visited."""
    for i in range(lo, hi):
        out[i] += 1


def row_sums(x):
    out = np.full(len(x), np.nan, x.dtype)
    probe__row_sums[x.dtype](x, out, len(x), tasks(len(x), grain=1))
    return out


@pytest.fixture
def x(rng):
    return rng.standard_normal((257, 129), np.float32)


def test_any_number_of_threads_gives_the_same_bits(x):
    with threads(1):
        expected = row_sums(x).tobytes()
    for n in (2, 3, 8, 17):
        with threads(n):
            assert get_num_threads() == n
            assert row_sums(x).tobytes() == expected


@pytest.mark.parametrize("n", [0, 1, 2, 7, 17, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 17])
def test_every_element_is_visited_once(n, count):
    out = np.zeros(n, np.int64)
    probe__visits[np.dtype(np.float32)](out, n, count)
    assert (out == 1).all()


def test_tasks():
    with threads(4):
        assert [tasks(work, grain=10) for work in (0, 1, 10, 19, 20, 39, 40, 10_000)] == [1, 1, 1, 1, 2, 3, 4, 4]
    with threads(1):
        assert tasks(10_000, grain=1) == 1


def test_set_num_threads():
    before = get_num_threads()
    with threads(3):
        set_num_threads(np.int64(5))
        assert get_num_threads() == 5
    assert get_num_threads() == before
    with pytest.raises(RuntimeError, match="left"), threads(3):
        raise RuntimeError("left early")
    assert get_num_threads() == before
    for wrong in (0, -1, 1.5, True, "2", None):
        with pytest.raises(ValueError, match="set_num_threads: n must be a positive integer, got"):
            set_num_threads(wrong)
    assert get_num_threads() == before


def test_cgroup_quota(tmp_path, monkeypatch):
    files = {}

    class Path(type(tmp_path)):
        def read_text(self):
            if str(self) not in files:
                raise FileNotFoundError(self)
            return files[str(self)]

    monkeypatch.setattr(layer, "Path", Path)
    assert layer._cgroup_quota() >= 1 << 20
    for text, cores in [("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 1 << 30), ("junk", 1 << 30)]:
        files["/sys/fs/cgroup/cpu.max"] = text
        assert layer._cgroup_quota() == cores
    files.clear()
    files["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "300000\n"
    files["/sys/fs/cgroup/cpu/cpu.cfs_period_us"] = "100000\n"
    assert layer._cgroup_quota() == 3
    files["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "-1\n"
    assert layer._cgroup_quota() == 1 << 30


def test_the_environment_sets_the_number(monkeypatch):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    default = layer.default_num_threads()
    assert 1 <= default <= (os.cpu_count() or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert layer.default_num_threads() == 3
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5")
    assert layer.default_num_threads() == 5
    for wrong in ("0", "-2", "many", ""):
        monkeypatch.setenv("NUMBA_NUM_THREADS", wrong)
        assert layer.default_num_threads() == 3


@pytest.mark.parametrize("value", ["²", "-1", "0", "1.5", "many", "1e3", "4,2", " "])
def test_invalid_numbers_of_threads_are_ignored_with_a_warning(value):
    """Numba itself raises at its import for those below 1."""
    code = (
        "import numpy as np, fastnn_kernels as k\n"
        "with k.threads(3): print(k.relu(np.full(1 << 18, -1.0)).any(), k.get_num_threads())\n"
        "print(k.get_num_threads())"
    )
    given = os.environ | {"NUMBA_NUM_THREADS": value, "OMP_NUM_THREADS": "2,1"}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "3", "2"], done.stderr
    assert f"NUMBA_NUM_THREADS={value!r} is not a positive integer and is ignored" in done.stderr


@pytest.mark.parametrize("value", ["4", "4,2", " 4 , 2", "4,²"])
def test_a_list_of_numbers_of_threads_counts_by_its_first(value, monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with warnings.catch_warnings(action="error"):
        _environment._warn()
    assert layer.default_num_threads() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "²,4")
    with pytest.warns(UserWarning, match="OMP_NUM_THREADS='²,4' is not a positive integer"):
        _environment._warn()


def test_more_threads_than_there_can_be_are_not_used(monkeypatch):
    before, most = get_num_threads(), layer.most_threads()
    assert most >= 17
    for n in (most + 1, 5000, 10**12):
        with pytest.warns(UserWarning, match=f"set_num_threads asks for {n} threads; {most} are the most"), threads(n):
            assert get_num_threads() == most and tasks(10**9, 1) == most
    assert get_num_threads() == before
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5000")
    with pytest.warns(UserWarning, match="the environment asks for 5000 threads"):
        assert layer.default_num_threads() == most


def test_limits_of_the_system_bound_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(layer, "_cores", lambda: 2)
    monkeypatch.setattr(layer, "_room_for_threads", lambda: 7)
    most = threading.active_count() + 7
    with pytest.warns(UserWarning, match=f"{most} are the most"), threads(20):
        assert get_num_threads() == most
    monkeypatch.setattr(layer, "_room_for_threads", lambda: 0)
    with threads(2):
        assert get_num_threads() == 2, "as many as there are cores is never too many"


UNDER_LIMIT = """
import os, resource, warnings
import numpy as np, fastnn_kernels as k
x = np.ones((1500, 1500), np.float32)
with k.threads(1):
    k.matmul(x, x)  # reads the kernel cache of the first user
if os.geteuid() == 0:
    os.setuid(4242)  # the limit does not hold for root
resource.setrlimit(resource.RLIMIT_NPROC, (12, 12))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    k.set_num_threads(5000)
print(len(caught), k.get_num_threads() <= 12, k.get_num_threads())
print((k.matmul(x, x) == 1500).all())
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a user without other processes is needed")
def test_a_large_product_survives_a_limit_of_threads():
    """OpenMP ends the process when a thread cannot be started."""
    given = os.environ | {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", UNDER_LIMIT], env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["1", "True"] and done.stdout.split()[-1] == "True", done.stdout


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_the_affinity_mask_sets_the_number():
    code = (
        "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])\n"
        "from fastnn_kernels.ground.threads import get_num_threads; print(get_num_threads())"
    )
    unset = {"NUMBA_NUM_THREADS", "OMP_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1"


def _sums_in_child(x, expected):
    assert get_num_threads() == 1
    set_num_threads(4)
    assert row_sums(x).tobytes() == expected
    assert get_num_threads() == 1, "a forked child stays serial"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_serially(x):
    with threads(4):
        expected = row_sums(x).tobytes()
        child = multiprocessing.get_context("fork").Process(target=_sums_in_child, args=(x, expected))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert row_sums(x).tobytes() == expected, "the parent goes on"


def test_eight_threads_launching_at_once_agree_with_one(rng):
    inputs = [rng.standard_normal((97 + k, 67), np.float32) for k in range(8)]
    with threads(1):
        expected = [row_sums(x).tobytes() for x in inputs]
    wrong, start = [], threading.Barrier(8)

    def work(k):
        start.wait()
        wrong.extend(k for _ in range(200) if row_sums(inputs[k]).tobytes() != expected[k])

    with threads(3):
        pool = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
    assert not wrong


LAYER = """
import threading
import numpy as np
import fastnn_kernels as layer
from tests.kernels.test_ground_parallel import row_sums
x = np.random.default_rng(1).standard_normal((257, 129), np.float32)
with layer.threads(1):
    expected = row_sums(x).tobytes()
wrong = []
def work():
    for _ in range(50):
        wrong.extend([1] * (row_sums(x).tobytes() != expected))
with layer.threads(2):
    pool = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in pool]
    [thread.join() for thread in pool]
print(layer.threading_layer(), layer.get_num_threads(), len(wrong))
"""


def test_how_long_threads_wait_is_the_users_choice_and_not_left_behind(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    with layer._patience():
        assert os.environ["GOMP_SPINCOUNT"] == layer.SPINS
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    with layer._patience():
        assert "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_threading_layers(layer):
    """Four threads launch at once on each layer; workqueue would abort the process without its lock."""
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", LAYER], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [layer, "2", "0"]


def test_two_threads_may_start_the_layer_at_once(monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    first, second = layer._patience(), layer._patience()
    monkeypatch.setattr(os, "environ", Blind(os.environ))
    with first, second:
        assert os.environ["GOMP_SPINCOUNT"] == layer.SPINS
    assert "GOMP_SPINCOUNT" not in dict(os.environ)


class Blind(dict):
    """Variables of which none is seen to be set, as by two threads that look before either sets one."""

    def __contains__(self, name):
        return False
