"""A split of a data set, written "name/split"."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of one data set; its text is "name/split".

    Attributes:
        dataset: the data set's name, such as "camvid".
        name: the split's name, such as "val".
    """

    dataset: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Split":
        """The split that "name/split" names.

        Raises:
            ValueError: the text is not of that form.
        """
        dataset, _, name = text.partition("/") if isinstance(text, str) else ("", "", "")
        if not dataset or not name or "/" in name:
            raise ValueError(f"a split is written 'name/split', such as 'camvid/test', not {text!r}")
        return cls(dataset, name)

    def __str__(self) -> str:
        return f"{self.dataset}/{self.name}"
