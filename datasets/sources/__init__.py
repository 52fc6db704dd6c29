"""One module per data set, each a reader of its official raw folder.

The contract of a source module:

* `INFO`: its `DatasetInfo`; `splits` holds the official sizes, or nothing where any size is right.
* `find_splits(root)`: the names of the splits present in the raw folder, in the order to convert them.
* `examples(root, split)`: a sequence of {"id", "image": path, "mask": path, "label": uint8 [H, W], 0…K−1 and 255},
  each read when asked for (`datasets.raw.Examples`). A raw folder of another shape, a missing mask or a broken file
  is a `DatasetError` in one line.
* `read_info(root)`, only where the classes are written in the raw folder itself: the `DatasetInfo` in place of `INFO`.
"""
