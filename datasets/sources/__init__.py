"""One module per data set, each a reader of its official raw folder.

The contract of a source module:

* `INFO`: its `DatasetInfo`; `splits` holds the official sizes, or nothing where any size is right.
* `find_splits(root)`: the names of the splits present in the raw folder, in the order to convert them.
* `examples(root, split)`: a sequence of {"id", "image": path, "mask": path, "label": uint8 [H, W], 0…K−1 and 255},
  each read when asked for (`datasets.raw.Examples`). In place of a path may stand a value whose text names the place:
  of labels, what the examples' `read_labels` takes; of a picture, a `datasets.pixels.InAFile`. Files that it reads are
  in its `files`, so that a conversion that goes on notices when they change. What officially belongs to the split and
  is not there is in the sequence's `missing`: conversion names it and goes on only when told to. A raw folder of
  another shape or a broken file is a `DatasetError` in one line that names it and what was expected.
* `read_info(root)`, only where the classes are written in the raw folder itself: the `DatasetInfo` in place of `INFO`.
* `READS`, only where a raw folder can be read in more than one way: the fields of `datasets.reading.Reading` that
  count. All these functions then take `reading` too.
* `pairs(root, split)`, only where `examples` does not take an incomplete folder: the examples that are complete, with
  the others in `missing`; and `values_of(mask)`, only where labels are values in masks, without `reading`: {value: its
  pixels} before it becomes a label. Both are for a look at a raw folder before conversion (`datasets.raw_inspection`).
* `left_out(root)`, only where a raw folder may hold files that belong to no split: sentences on them. Those inside a
  split are in the `left_out` of its examples. Conversion tells them all.

Values of masks become labels by a `datasets.label_table.LabelTable`; tables of classes are data in `datasets.tables`.
"""
