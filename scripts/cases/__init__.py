"""What the benchmark compares: each module gives the sides of one comparison as callables."""
