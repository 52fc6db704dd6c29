"""Tries every backbone and head in every format of export, and writes a table of what works.

    ksac formats --results=formats.json --output=docs/formats.md
    ksac formats --results=formats.json --networks=head/ksac,backbone/swin --output=docs/formats.md
    ksac formats --results=formats.json --networks=whole/convnext_base --output=docs/formats.md

Each network is built small with random weights, written as SavedModel, ONNX and TensorFlow Lite, run by TensorFlow,
ONNX Runtime, tf.lite and LiteRT in processes without this project, and compared with the model. The records are kept in
--results, so that networks can be tried a few at a time; the table is of all records there. "whole/<backbone>" is a
backbone as it is; these are tried only where they are named.
"""

import json
import subprocess
import sys
import tempfile

from absl import flags

from deeplab_ksac.json_files import read_object
from deeplab_ksac.scripts.commandline.entry import start
from deeplab_ksac.storage import local
from deeplab_ksac.whole_files import check_writable, present, write_whole


def define_flags():
    """Which networks, and where records and table go."""
    flags.DEFINE_list("networks", [], "names of networks, such as backbone/swin or head/ksac (default: all small ones)")
    flags.DEFINE_string("results", None, "JSON file that holds the records, and keeps those that it has", required=True)
    flags.DEFINE_string("output", None, "Markdown file for the table of all records (default: only print)")
    flags.DEFINE_string("try_one", None, "a network's name: only print its record")


def run(given):
    """Tries network by network, each in a process of its own, whose memory is free afterwards."""
    results = local(given.results, "--results")
    output = given.output and local(given.output, "--output")
    if given.try_one:
        print(json.dumps(record_of(given.try_one)))
        return 0

    from deeplab_ksac.export.every_format import networks, whole_networks
    from deeplab_ksac.export.format_table import summary, table

    known = [*networks(), *whole_networks()]
    unknown = [name for name in given.networks if name not in known]
    if unknown:
        raise ValueError(f"--networks: there is no {unknown[0]!r}; there are {', '.join(known)}")
    for path in filter(None, (results, output)):
        check_writable(path.absolute().parent)
    records = read_records(results) if present(results) else {}
    for name in given.networks or networks():
        records[name] = tried_apart(name, results)
        print(summary(name, records[name]), flush=True)
        write_whole(results, json.dumps(records, indent=1, ensure_ascii=False) + "\n")
    if given.output:
        untried = [name for name in networks() if name not in records]
        write_whole(given.output, table({name: records[name] for name in known if name in records}, untried))
        print(f"table: {given.output}")
    return 0


def read_records(results):
    """The records of earlier calls.

    Raises:
        OSError, ValueError: the file cannot be read, or holds something else; the message names it.
    """
    from deeplab_ksac.export.format_table import summary, table

    records = read_object(results)
    for name, record in records.items():
        try:
            summary(name, record)
            table({name: record}, [])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(f"{results} has no record of this command as {name!r}; remove that, or the file") from None
    return records


def tried_apart(name, results):
    """The record of a network, from a process of its own."""
    command = [sys.executable, "-m", "deeplab_ksac.scripts.formats", f"--try_one={name}", f"--results={results}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        said = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "no reason given")
        return {"failed": f"its process ended with status {ended.returncode}: {said}"}
    return json.loads(ended.stdout.splitlines()[-1])


def record_of(name):
    """The record of a network, tried in this process."""
    from deeplab_ksac.export.every_format import networks, try_every_format, versions, whole_networks

    model = {**networks(), **whole_networks()}[name]()
    with tempfile.TemporaryDirectory(prefix="formats_") as folder:
        formats = try_every_format(model, folder)
    return {"parameters": model.count_params(), "formats": formats, "versions": versions()}


if __name__ == "__main__":
    start("formats", define_flags, run)
