"""One neuron with a sigmoid: logistic regression, and the gradient that can be written down by hand.

The neuron says  p = sigmoid(w . x + b),  the probability that an image shows a 3 and not an 8. The loss of one image
is the surprise at the truth y (1 or 0):  -y log p - (1 - y) log(1 - p).  Its derivative by the sum  z = w . x + b  is
as simple as can be,

    d loss / dz = p - y,      so      d loss / dw = (p - y) x      and      d loss / db = p - y,

because the slope of the sigmoid cancels against that of the logarithm. First this is done in NumPy by hand, then the
same with fastnn's tape; both take the same steps and arrive at the same weights.
"""

import numpy as np

from fastnn import Tensor, functional, no_grad
from fastnn.data import mnist_5k, split

RATE, STEPS = 0.5, 200


def threes_and_eights():
    """Give training and test images as rows of 784 pixels, with labels 1.0 for a three and 0.0 for an eight."""
    images, labels = mnist_5k()
    chosen = np.isin(labels, (3, 8))
    x, y = images[chosen].reshape(-1, 784), (labels[chosen] == 3).astype(np.int64)
    return [(a, b.astype(np.float32)) for a, b in split(x, y, (0.8, 0.2), seed=0)]


def by_hand(x, y):
    """Gradient descent with the derivatives written out."""
    w, b = np.zeros(784, np.float32), np.float32(0)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(x @ w + b)))
        w -= RATE * (p - y) @ x / len(x)
        b -= RATE * np.mean(p - y)
    return w, b


def with_the_tape(x, y):
    """Gradient descent again; `backward` finds the derivatives."""
    w, b = Tensor(np.zeros(784, np.float32), requires_grad=True), Tensor(np.zeros(1, np.float32), requires_grad=True)
    for _ in range(STEPS):
        p = functional.sigmoid(x @ w + b)
        loss = -functional.mean(y * functional.log(p) + (1 - y) * functional.log(1 - p))
        loss.backward()
        with no_grad():
            for parameter in (w, b):
                parameter -= RATE * parameter.grad
                parameter.grad = None
    return w.numpy(), b.numpy()


def main():
    """Train both ways; return the accuracy on the test images and the largest difference between the weights."""
    (x, y), (x_test, y_test) = threes_and_eights()
    w, b = by_hand(x, y)
    w_tape, _ = with_the_tape(x, y)
    difference = float(np.abs(w - w_tape).max())
    accuracy = float(np.mean((x_test @ w + b > 0) == (y_test > 0.5)))
    print(f"3 or 8: {accuracy:.1%} of {len(x_test)} test images right with one neuron")
    print(f"weights by hand and by backward() differ by at most {difference:.1e}")
    print("\nthe weights as a picture (+ speaks for a 3, - for an 8):")
    signs = np.select([w > 0.15, w < -0.15], ["+", "-"], " ").reshape(28, 28)
    print("\n".join("    " + "".join(2 * sign for sign in row) for row in signs[4:25]))
    return {"accuracy": accuracy, "difference": difference}


if __name__ == "__main__":
    main()
