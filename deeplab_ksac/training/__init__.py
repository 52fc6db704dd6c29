"""Training: strategy, optimizers, step, loop and checkpoints."""
