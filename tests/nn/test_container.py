"""Lists and dictionaries of modules and parameters."""

from collections import OrderedDict

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.nn import Linear, ModuleDict, ModuleList, Parameter, ParameterDict, ParameterList, ReLU, Sequential


class TestSequential:
    def test_is_changed_like_a_list(self):
        a, b, c = Linear(2, 2), ReLU(), Linear(2, 2)
        net = Sequential(a, c)
        assert net.insert(1, b) is net and list(net) == [a, b, c]
        assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
        assert net.pop(0) is a and list(net) == [b, c] and list(net._modules) == ["0", "1"]
        net += [a]
        assert list(net + Sequential(b)) == [b, c, a, b] and list(net * 2) == [b, c, a] * 2
        assert a in net and b in net and Linear(1, 1) not in net
        del net[1:]
        assert list(net) == [b] and len(net) == 1
        assert list(Sequential(OrderedDict([("x", a), ("y", b)]))._modules) == ["x", "y"]
        with pytest.raises(TypeError, match="repeated a positive number of times, got 0"):
            net * 0
        with pytest.raises(TypeError, match="extend needs modules, got int"):
            net.extend(3)

    def test_slices_keep_names(self):
        net = Sequential(OrderedDict(first=Linear(2, 2), second=ReLU(), third=Linear(2, 1)))
        assert list(net[1:]._modules) == ["second", "third"] and net[1:][1] is net.third


def test_module_list():
    layers = ModuleList(Linear(2, 2) for _ in range(3))
    assert isinstance(layers[1:], ModuleList) and len(layers[1:]) == 2 and layers[-1] is list(layers)[2]
    layers.append(ReLU()).extend([ReLU()]).insert(0, ReLU())
    assert [type(layer).__name__ for layer in layers] == ["ReLU", "Linear", "Linear", "Linear", "ReLU", "ReLU"]
    layers[0] = Linear(3, 3)
    del layers[-2:]
    assert layers.pop().out_features == 2 and len(layers + [ReLU()]) == 4
    assert len(ModuleList()) == 0 and list(layers.state_dict())[0] == "0.weight"
    with pytest.raises(TypeError, match="ModuleList: expected modules, got int at '0'"):
        ModuleList([1])
    with pytest.raises(TypeError, match=r"ModuleList: expected modules, got the class ReLU at '0'; make a layer of it"):
        ModuleList([ReLU])
    with pytest.raises(TypeError, match=r"for a list of layers write Sequential\(\*layers\)"):
        Sequential([Linear(2, 2), ReLU()])
    with pytest.raises(IndexError):
        layers[9]
    with pytest.raises(NotImplementedError):
        layers(1)


def test_module_dict():
    parts = ModuleDict({"a": Linear(2, 2), "b": ReLU()})
    parts["c"] = Linear(2, 1)
    parts.update([("d", ReLU())])
    parts.update(ModuleDict({"e": ReLU()}))
    assert list(parts) == list(parts.keys()) == ["a", "b", "c", "d", "e"] and "c" in parts and "z" not in parts
    assert list(parts.values())[2] is parts["c"] and dict(parts.items())["c"].out_features == 1
    assert list(parts.state_dict()) == ["a.weight", "a.bias", "c.weight", "c.bias"]
    assert parts.pop("c").out_features == 1 and len(parts) == 4
    del parts["d"]
    with pytest.raises(KeyError):
        parts["training"]
    with pytest.raises(KeyError, match="has an attribute 'pop' already"):
        parts["pop"] = ReLU()
    with pytest.raises(TypeError, match="expected modules, got int at 'x'"):
        parts["x"] = 3
    with pytest.raises(TypeError, match="expected a mapping or pairs, got int"):
        ModuleDict(3)
    parts.clear()
    assert not len(parts)


def test_parameter_list():
    values = ParameterList([Parameter(np.ones(2)), fastnn.ones(3), np.ones(4)])
    assert [p.shape for p in values] == [(2,), (3,), (4,)] and all(isinstance(p, Parameter) for p in values)
    values.append(fastnn.zeros(5)).extend([fastnn.zeros(6)])
    values += [fastnn.zeros(7)]
    values[0] = Parameter(np.zeros(1))
    assert len(values) == 6 and values[-1].shape == (7,) and isinstance(values[1:3], ParameterList)
    assert list(values.state_dict()) == list("012345")
    assert "(0): Parameter of float64, shape (1,)" in repr(values) and repr(ParameterList()) == "ParameterList()"
    with pytest.raises(TypeError, match="expected parameters, got int at 0"):
        ParameterList([1])
    with pytest.raises(TypeError, match="extend needs parameters, got int"):
        values.extend(1)


def test_parameter_dict():
    values = ParameterDict({"a": Parameter(np.ones(2)), "b": fastnn.ones(3)})
    values["c"] = np.ones(1)
    assert list(values) == ["a", "b", "c"] and values["b"].shape == (3,) and "a" in values and "z" not in values
    assert values.get("z") is None and values.setdefault("d", fastnn.ones(4)).shape == (4,)
    assert values.setdefault("a", fastnn.ones(4)).shape == (2,)
    assert values.copy()["a"] is values["a"] and list(values | {"e": fastnn.ones(1)}) == ["a", "b", "c", "d", "e"]
    assert values.popitem()[0] == "d" and values.pop("c").shape == (1,) and len(values) == 2
    values |= {"f": fastnn.ones(1)}
    assert [name for name, _ in nn.ModuleDict({"m": values}).named_parameters()] == ["m.a", "m.b", "m.f"]
    assert [p.shape for p in values.values()] == [(2,), (3,), (1,)] and "(f): " in repr(values)
    del values["f"]
    with pytest.raises(TypeError, match="expected parameters, got str at 'x'"):
        values["x"] = "y"
    values.clear()
    assert not list(values.items()) and list(values.keys()) == []
