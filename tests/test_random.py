"""One seed governs every stream, and a saved state continues it."""

import json

import pytest

import fastnn.random as random


@pytest.fixture(autouse=True)
def _keep_state():
    state = random.get_state()
    yield
    random.set_state(state)


def draw():
    """Draw a few values from both streams."""
    return random.generator().standard_normal(3).tolist(), random.next_philox(), random.next_philox()


def test_same_seed_same_draws():
    random.manual_seed(7)
    first = draw()
    random.manual_seed(7)
    assert draw() == first
    random.manual_seed(8)
    assert draw() != first


def test_philox_calls_are_numbered():
    random.manual_seed(3)
    assert [random.next_philox() for _ in range(3)] == [(3, 0), (3, 1), (3, 2)]


def test_state_survives_json():
    random.manual_seed(2**64 - 1)
    draw()
    state = json.loads(json.dumps(random.get_state()))
    expected = draw()
    random.manual_seed(0)
    random.set_state(state)
    assert draw() == expected


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range(seed):
    with pytest.raises(ValueError, match="manual_seed: seed must be in"):
        random.manual_seed(seed)


def test_generators_show_their_seed():
    assert repr(random.manual_seed(3)) == repr(random.Generator().manual_seed(3)) == "Generator(seed=3)"
