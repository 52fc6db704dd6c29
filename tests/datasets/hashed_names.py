"""Names that count how often they are hashed: what looks at each of n names once makes some n hashes, not n²."""


class HashedName(str):
    """A text; `HashedName.hashes` is how often any of them was hashed."""

    hashes = 0

    def __hash__(self):
        HashedName.hashes += 1
        return super().__hash__()
