"""XOR, the smallest problem that needs a hidden layer, learned by gradient descent.

One neuron draws one line, and no line has (0, 1) and (1, 0) on one side and (0, 0) and (1, 1) on the other: the best it
can do is to say 1/2 everywhere. With a hidden layer of two neurons the first layer draws two lines, and the second
layer takes what is between them.

Not every start leads there: from about one in three, two hidden neurons end up on the same side of things, in a local
minimum of the loss. With a third one to spare nearly every start succeeds; try `hidden=3` and other seeds.

The net is small enough to write down all it learned, and the gradients are nothing but the chain rule: `backward()`
walks from the loss back to every weight.
"""

import numpy as np

import fastnn
from fastnn import functional, nn, optim

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)


def train(model, steps=4000):
    """Move the weights against the gradient, again and again; give the last loss."""
    optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for _ in range(steps):
        loss = functional.mse_loss(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def report(title, model, loss):
    """Print what the model says for the four inputs; give how many are right."""
    outputs = model(X).numpy()
    right = int(((outputs > 0.5) == (Y > 0.5)).sum())
    said = ", ".join(f"{a:.0f} xor {b:.0f} = {y:.2f}" for (a, b), (y,) in zip(X, outputs, strict=True))
    print(f"{title}: loss {loss:.4f}, {right}/4 right\n    {said}")
    return right


def main(hidden=2, seed=0):
    """Train one neuron, then two layers; return how many of the four rows each gets right."""
    fastnn.manual_seed(seed)
    neuron = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    alone = report("one neuron", neuron, train(neuron))

    network = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1), nn.Sigmoid())
    together = report("two layers", network, train(network))
    for (w1, w2), b in zip(network[0].weight.numpy(), network[0].bias.numpy(), strict=True):
        print(f"    a hidden neuron changes its mind at the line  {w1:+.1f} x1 {w2:+.1f} x2 {b:+.1f} = 0")
    return {"one neuron": alone, "two layers": together}


if __name__ == "__main__":
    main()
