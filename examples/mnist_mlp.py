"""Handwritten digits with the classic net 784-16-16-10, as it is taught, and as one would build it today.

The classic: sigmoids, and the mean squared error against a one-hot target. It learns, but slowly: where a sigmoid
saturates its slope is nearly zero, and the error has to pass through two of them to reach the first layer.

The modern variant has the same 13,002 weights: ReLU, whose slope is 1 wherever it is open, and cross-entropy, whose
gradient does not vanish where the net is wrong and sure of it.
"""

import numpy as np

import fastnn
from fastnn import functional, nn, optim, train
from fastnn.data import mnist_5k, split


def classic():
    """Give the net with sigmoids throughout."""
    return nn.Sequential(
        nn.Linear(784, 16), nn.Sigmoid(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 10), nn.Sigmoid()
    )


def modern():
    """Give the net with ReLU inside and plain numbers (logits) at its end."""
    return nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))


def main(epochs=30, progress=True):
    """Train both nets for the same number of epochs; return their accuracies on 1,000 digits held out."""
    images, labels = mnist_5k()
    (x, y), (x_test, y_test) = split(images.reshape(-1, 784), labels, (4000, 1000), seed=0)
    one_hot, one_hot_test = np.eye(10, dtype=np.float32)[y], np.eye(10, dtype=np.float32)[y_test]
    settings = {"epochs": epochs, "batch_size": 32, "metrics": ["accuracy"], "progress": progress}

    fastnn.manual_seed(0)
    net = classic()
    print(f"classic: sigmoid and mean squared error, {sum(p.numel() for p in net.parameters()):,} weights")
    history = train.fit(net, (x, one_hot), validation=(x_test, one_hot_test), loss=functional.mse_loss,
                        optimizer=optim.SGD(net.parameters(), lr=1.0, momentum=0.9), **settings)  # fmt: skip
    reached = {"classic": history["val_accuracy"][-1]}

    fastnn.manual_seed(0)
    net = modern()
    print("modern: ReLU and cross-entropy, as many weights")
    history = train.fit(net, (x, y), validation=(x_test, y_test), loss=functional.cross_entropy,
                        optimizer=optim.SGD(net.parameters(), lr=0.02, momentum=0.9), **settings)  # fmt: skip
    reached["modern"] = history["val_accuracy"][-1]
    print(f"on 1,000 digits never seen: classic {reached['classic']:.1%}, modern {reached['modern']:.1%}")
    return reached


if __name__ == "__main__":
    main()
