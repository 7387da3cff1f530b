"""One neuron as a logic gate, and the gate that one neuron cannot be.

A neuron computes  y = step(w1 x1 + w2 x2 + b).  Where the sum is zero lies a straight line in the plane of the inputs;
on one side of it the neuron says yes, on the other no. AND, OR, NAND and NOT need just such a line. XOR does not:
(0, 1) and (1, 0) must lie on one side, (0, 0) and (1, 1) on the other. A line that has both 1s on its yes side has the
point halfway between them there too, which is (1/2, 1/2) - and that is halfway between the two 0s as well.

The neuron learns by Rosenblatt's rule (1958): whenever it is wrong, move the weights towards the input if it should
have said yes, away from it if it should have said no. If a line exists the rule finds one in a finite number of
corrections (Novikoff 1962). If none does, it never comes to rest.
"""

import numpy as np

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
GATES = {
    "AND": np.array([0, 0, 0, 1]),
    "OR": np.array([0, 1, 1, 1]),
    "NAND": np.array([1, 1, 1, 0]),
    "NOT": np.array([1, 1, 0, 0]),  # of the first input
    "XOR": np.array([0, 1, 1, 0]),
}


def step(sums):
    """Say yes (1) above zero, no (0) below."""
    return (sums > 0).astype(int)


def learn(targets, epochs=100):
    """Train one neuron; give its weights, its bias and the number of epochs until it made no mistake (None: never)."""
    weights, bias = np.zeros(2), 0.0
    for epoch in range(1, epochs + 1):
        mistakes = 0
        for x, target in zip(INPUTS, targets, strict=True):
            error = target - step(weights @ x + bias)  # 1: should have said yes, -1: should have said no
            weights = weights + error * x
            bias = bias + error
            mistakes += abs(error)
        if mistakes == 0:
            return weights, bias, epoch
    return weights, bias, None


def xor_of_three():
    """Build XOR from three neurons that were learned one by one: x1 XOR x2 = (x1 OR x2) AND (x1 NAND x2)."""

    def neuron(gate):
        weights, bias, _ = learn(GATES[gate])
        return lambda x: step(x @ weights + bias)

    hidden = np.column_stack([neuron("OR")(INPUTS), neuron("NAND")(INPUTS)])
    return neuron("AND")(hidden)


def main():
    """Learn all gates; return for each how many of its four rows one neuron gets right, and those of two layers."""
    right = {}
    for gate, targets in GATES.items():
        weights, bias, epochs = learn(targets)
        outputs = step(INPUTS @ weights + bias)
        right[gate] = int((outputs == targets).sum())
        ending = f"learned in {epochs} epochs" if epochs else "no line separates it: no rest in 100 epochs"
        print(f"{gate:5s} {right[gate]}/4 right   y = step({weights[0]:+g} x1 {weights[1]:+g} x2 {bias:+g})   {ending}")
    outputs = xor_of_three()
    right["XOR of two layers"] = int((outputs == GATES["XOR"]).sum())
    print(f"XOR   {right['XOR of two layers']}/4 right   as (x1 OR x2) AND (x1 NAND x2): it takes a second layer")
    return right


if __name__ == "__main__":
    main()
