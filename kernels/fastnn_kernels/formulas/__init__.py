"""Functions of one element, from which every back end compiles its kernels: activations, losses, optimizers."""
