"""A data set of Hugging Face's `datasets` on disk, with a picture and a label map in each row; read with pyarrow.

`hf:<path>` is the folder <raw_dir>/<path>, either what `save_to_disk` wrote (dataset_dict.json and a folder of .arrow
files for each split, or one split's files alone) or .parquet files named by split (data/train-00000-of-00001.parquet,
train.parquet, train/….parquet).

Pictures and label maps are columns of encoded files, as `datasets.Image` stores them: {"bytes", "path"}, or bytes.
`image_key` and `label_key` name the columns where there are several. Classes are those of classes.txt in the folder, in
the order of the values; `label_map` maps values and `colors` colors. There are no outlines, so that nothing overlaps.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re

from deeplab_ksac.datasets.class_list import CLASSES_FILE
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.label_columns import USUAL, choose
from deeplab_ksac.datasets.mask_classes import count_values, mask_reader, read_classes
from deeplab_ksac.datasets.raw import Examples, find_files
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.whole_files import read_whole

INFO = DatasetInfo(name="hf", class_names=(), colors=(), description="A data set of Hugging Face on disk")
READS = ("label_map", "colors", "image_key", "label_key")

LAYOUT = "the folder that save_to_disk wrote, or .parquet files named by split"
TABLES_KEPT = 2  # pieces of files in memory


@dataclasses.dataclass(frozen=True)
class Cell:
    """The bytes in one cell of a table; its text names the place.

    Attributes:
        path: an .arrow or .parquet file.
        piece: the row group or record batch.
        row: in that piece.
        column: its name.
    """

    path: str
    piece: int
    row: int
    column: str

    def __str__(self) -> str:
        return f"{self.column!r} of row {self.row} in piece {self.piece} of {self.path}"

    @property
    def files(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def read_bytes(self) -> bytes:
        """The encoded picture.

        Raises:
            DatasetError: the cell has no bytes.
        """
        value = _piece(self.path, self.piece, self.column)[self.row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            where = f"; it points to {value.get('path')!r}" if isinstance(value, dict) else ""
            raise DatasetError(f"{self} has no bytes{where}; save the data set with the pictures in it")
        return content


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` of classes.txt or of the legend."""
    _find_files(root)
    path = pathlib.Path(root) / CLASSES_FILE
    if not path.is_file() and reading.colors is None:
        raise DatasetError(f"{root} does not say what the values of its label maps are; write {path}, one class a line")
    names, colors = read_classes(path, reading)
    return dataclasses.replace(INFO, class_names=names, colors=colors)


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The splits that the files are of; train comes first."""
    return tuple(_find_files(root))


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The rows of a split, in the order of its files; ids are their numbers."""
    files, entries = _find_files(root), []
    if split not in files:
        raise DatasetError(f"{root} has no split {split!r} (found: {', '.join(files)})")
    for path in files[split]:
        keys = _keys(path, reading)
        for piece, rows in enumerate(_rows(path)):
            entries += [tuple(Cell(path, piece, row, key) for key in keys) for row in range(rows)]
    numbered = [(f"{number:06d}", *cells) for number, cells in enumerate(entries)]
    return Examples(numbered, read_labels=mask_reader(pathlib.Path(root) / CLASSES_FILE, reading))


def values_of(mask: Cell) -> dict[int | tuple[int, ...], int]:
    """{value in a label map, or color of an RGB one: its pixels}."""
    return count_values(mask)


def _find_files(root):
    """{split: its files in order}; the split called train comes first."""
    root, found = pathlib.Path(root), {}
    listed = root / "dataset_dict.json"
    if listed.is_file():
        try:
            splits = json.loads(read_whole(listed))["splits"]
            found = {split: _arrow_files(root / split) for split in splits}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DatasetError(f"{listed} cannot be read: {in_one_line(error)}") from error
    elif (root / "state.json").is_file():
        found = {"train": _arrow_files(root)}
    else:
        for path in find_files(root):
            if path.suffix == ".parquet":
                found.setdefault(_split_of(path, root), []).append(os.fspath(path))
    empty = [split for split, files in found.items() if not files]
    if empty or not found:
        lacks = f"no files of the split {empty[0]}" if empty else "no data set"
        raise DatasetError(f"{root} has {lacks}; expected {LAYOUT}")
    return dict(sorted(found.items(), key=lambda item: (item[0] != "train", item[0])))


def _arrow_files(folder):
    return [os.fspath(path) for path in find_files(folder) if path.suffix == ".arrow"]


def _split_of(path, root):
    """The split by the name of a .parquet file, or by its folder where the file has only a number.

    Behind the numbers there may be a hash; Spark's part-00000-<hash>-c000.snappy.parquet has one too.
    """
    name = re.sub(r"(^|[-_.])\d+(-of-\d+([-.].*)?)?$", "", path.stem)
    if name and not re.match(r"part(-\d|$)", name):
        return name
    folder = path.parent.name
    return "train" if path.parent == root or folder == "data" else folder


def _pyarrow():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError("hf needs pyarrow: pip install pyarrow") from error
    return pyarrow


def _opened(path):
    """The file as pyarrow reads it; of an .arrow file, all its record batches, which stay on disk until looked at."""
    pyarrow = _pyarrow()
    try:
        if path.endswith(".parquet"):
            return pyarrow.parquet.ParquetFile(path)
        return pyarrow.ipc.open_stream(pyarrow.memory_map(path)).read_all()
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(f"{path} cannot be read by pyarrow: {in_one_line(error)}") from error


def _rows(path):
    """The numbers of rows of the pieces of a file."""
    file = _opened(path)
    if path.endswith(".parquet"):
        return [file.metadata.row_group(piece).num_rows for piece in range(file.num_row_groups)]
    return [batch.num_rows for batch in file.to_batches()]


@functools.lru_cache(maxsize=TABLES_KEPT)
def _piece(path, piece, column):
    """A column of a piece of a file."""
    file = _opened(path)
    try:
        if path.endswith(".parquet"):
            return file.read_row_group(piece, columns=[column]).column(column)
        return file.to_batches()[piece].column(column)
    except (OSError, _pyarrow().ArrowException) as error:
        raise DatasetError(f"{path} cannot be read by pyarrow: {in_one_line(error)}") from error


def _keys(path, reading):
    """(column of the pictures, column of the label maps)."""
    pyarrow, file = _pyarrow(), _opened(path)
    schema = file.schema_arrow if path.endswith(".parquet") else file.schema
    pictures = [field.name for field in schema if _holds_files(field.type, pyarrow)]
    for what, wanted in (("image", reading.image_key), ("label", reading.label_key)):
        if wanted and wanted not in pictures:
            choose(pictures, wanted, what, path)
    labels = [name for name in pictures if name in USUAL["label"] and name != reading.image_key]
    image = choose([name for name in pictures if name not in labels] or pictures, reading.image_key, "image", path)
    return image, choose([name for name in pictures if name != image], reading.label_key, "label", path)


def _holds_files(kind, pyarrow):
    if pyarrow.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)
