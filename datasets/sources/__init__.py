"""One module per data set, each a reader of its official raw folder.

The contract of a source module:

* `INFO`: its `DatasetInfo`; `splits` holds the official sizes, or nothing where any size is right.
* `find_splits(root)`: the names of the splits present in the raw folder, in the order to convert them.
* `examples(root, split)`: a sequence of {"id", "image": path, "mask": path, "label": uint8 [H, W], 0…K−1 and 255},
  each read when asked for (`datasets.raw.Examples`). In place of the mask's path may stand a value whose text names
  the labels. What officially belongs to the split and is not there is in the sequence's `missing`: conversion names it
  and goes on only when told to. A raw folder of another shape or a broken file is a `DatasetError` in one line that
  names it and what was expected.
* `read_info(root)`, only where the classes are written in the raw folder itself: the `DatasetInfo` in place of `INFO`.

* `READS`, only where a raw folder can be read in more than one way: the fields of `datasets.reading.Reading` that
  count. All these functions then take `reading` too.
* `pairs(root, split)` and `values_of(mask)`, only where pictures and masks are found by their names: the examples that
  have both, with the others in `missing`; and {value in a mask: its pixels}, before it becomes a label. They are for a
  look at a raw folder that cannot be converted as it is (`datasets.raw_inspection`).
* `left_out(root)`, only where a raw folder may hold files that belong to no split: sentences on them. Those inside a
  split are in the `left_out` of its examples. Conversion tells them all.

Values of masks become labels by a `datasets.label_table.LabelTable`; tables of classes are data in `datasets.tables`.
"""
