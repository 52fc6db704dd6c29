"""Refusing wrong arguments at construction, in words."""


def require_positive(**arguments):
    """Raises ValueError, naming the argument and its value, unless each is an integer of at least 1."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")


def require_groups(groups):
    """Raises ValueError unless `groups` is None (the factored form) or an integer of at least 1 (Algorithm
    2's G)."""
    if groups is not None and (isinstance(groups, bool) or not isinstance(groups, int) or groups < 1):
        raise ValueError(f"groups must be None (factored) or an integer of at least 1, not {groups!r}")
