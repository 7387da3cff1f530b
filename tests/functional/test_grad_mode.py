"""Whether operations are recorded: with blocks, decorated functions, generators, coroutines; each thread for itself."""

import asyncio
import inspect
import threading

import pytest

from fastnn import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled


@no_grad()
def numbers(count, seen):
    """Yield the mode, and note it after each resumption."""
    try:
        for _ in range(count):
            try:
                sent = yield is_grad_enabled()
                seen.append((sent, is_grad_enabled()))
            except ValueError:
                seen.append(("error", is_grad_enabled()))
        return "done"
    finally:
        seen.append(("end", is_grad_enabled()))


def test_a_decorated_generator_records_nothing_and_leaves_its_caller_alone():
    seen = []
    steps = numbers(3, seen)
    assert next(steps) is False and is_grad_enabled()
    assert steps.send(5) is False and is_grad_enabled()
    assert steps.throw(ValueError()) is False and is_grad_enabled()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "done" and is_grad_enabled()
    assert seen == [(5, False), ("error", False), (None, False), ("end", False)]
    assert inspect.isgeneratorfunction(numbers)


def test_a_generator_closes_in_its_own_mode():
    seen = []
    steps = numbers(3, seen)
    next(steps)
    steps.close()
    assert seen == [("end", False)] and is_grad_enabled()
    steps = numbers(3, seen)
    next(steps)
    with pytest.raises(KeyError):
        steps.throw(KeyError("mine"))
    assert is_grad_enabled()


def test_a_generator_keeps_the_mode_that_it_switched_to_itself():
    @enable_grad()
    def steps():
        yield is_grad_enabled()
        with no_grad():
            yield is_grad_enabled()
            yield is_grad_enabled()
        yield is_grad_enabled()

    with no_grad():
        seen = []
        for mode in steps():
            seen.append(mode)
            assert not is_grad_enabled()
    assert seen == [True, False, False, True]


def test_coroutines_record_nothing_while_others_run():
    async def look(times):
        seen = []
        for _ in range(times):
            seen.append(is_grad_enabled())
            await asyncio.sleep(0)
        return seen

    quiet = no_grad()(look)

    async def both():
        return await asyncio.gather(quiet(5), look(5), quiet(3))

    assert asyncio.run(both()) == [[False] * 5, [True] * 5, [False] * 3]
    assert inspect.iscoroutinefunction(quiet)


def test_asynchronous_generators():
    seen = []

    @no_grad()
    async def steps():
        try:
            for i in range(3):
                sent = yield i, is_grad_enabled()
                await asyncio.sleep(0)
                seen.append((sent, is_grad_enabled()))
        finally:
            seen.append(("end", is_grad_enabled()))

    async def walk():
        assert [x async for x in steps()] == [(0, False), (1, False), (2, False)] and is_grad_enabled()
        one = steps()
        assert await anext(one) == (0, False)
        assert await one.asend("sent") == (1, False)
        await one.aclose()
        assert is_grad_enabled()
        other = steps()
        await anext(other)
        with pytest.raises(KeyError):
            await other.athrow(KeyError("mine"))
        assert is_grad_enabled()

    asyncio.run(walk())
    assert inspect.isasyncgenfunction(steps)
    expected = [(None, False)] * 3 + [("end", False), ("sent", False), ("end", False), ("end", False)]
    assert seen == expected


def test_one_decorated_function_and_one_manager_in_two_threads():
    shared, meet, seen = no_grad(), threading.Barrier(2), []

    @shared
    def inside():
        meet.wait()  # both are in
        mode = is_grad_enabled()
        meet.wait()
        return mode

    def work(mode):
        set_grad_enabled(mode)
        for _ in range(20):
            seen.append((inside(), is_grad_enabled() is mode))
            with shared:
                meet.wait()
                seen.append((is_grad_enabled(), True))
                meet.wait()
            seen.append((False, is_grad_enabled() is mode))

    threads = [threading.Thread(target=work, args=(mode,)) for mode in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 120 and set(seen) == {(False, True)}


def test_decorators_without_brackets_on_methods_and_recursive():
    class Model:
        @no_grad
        def plain(self, depth=3):
            return self.plain(depth - 1) if depth else is_grad_enabled()

        @no_grad()
        def steps(self):
            yield is_grad_enabled()

    assert not Model().plain() and list(Model().steps()) == [False] and is_grad_enabled()

    @no_grad()
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert is_grad_enabled()


def test_one_manager_may_be_nested():
    shared = no_grad()
    with shared, enable_grad():
        with shared:
            assert not is_grad_enabled()
        assert is_grad_enabled()
    assert is_grad_enabled()


def test_set_grad_enabled():
    before = set_grad_enabled(False)
    assert not is_grad_enabled()
    set_grad_enabled(True)
    assert is_grad_enabled()
    with before:
        assert not is_grad_enabled()
    assert is_grad_enabled()
    with set_grad_enabled(False):
        assert not is_grad_enabled()
    assert is_grad_enabled()

    @set_grad_enabled(False)
    def quiet():
        return is_grad_enabled()

    assert is_grad_enabled() and not quiet() and is_grad_enabled()


def test_inference_mode():
    @inference_mode
    def bare():
        return is_grad_enabled()

    @inference_mode()
    def called():
        return is_grad_enabled()

    assert not bare() and not called()
    with inference_mode():
        assert not is_grad_enabled()
        with inference_mode(False):
            assert is_grad_enabled()
    assert is_grad_enabled()
