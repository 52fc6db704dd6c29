"""Whether a checkpoint holds what objects are to be read from it, seen before anything is read.

TensorFlow compares while it reads: some of the objects have new values by then, and each value that finds no place is
a warning of its own.
"""

import collections

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # the checkpoint's description of the objects it was written of
VALUE = "VARIABLE_VALUE"


def mismatches(prefix: str, checkpoint: tf.train.Checkpoint, *, whole: bool = False) -> list[str]:
    """What of `checkpoint`'s variables the files at `prefix` do not have, or in another shape; [] where they fit.

    Args:
        prefix: what the names of the files begin with, no pattern.
        checkpoint: the objects that are to be read; the variables of its "model" are named first.
        whole: whether a value of the files that has no place in these objects is a mismatch too.

    Returns:
        Phrases such as "3 of 12 variables are missing, the first head/context/conv/kernel".
    """
    reader = tf.train.load_checkpoint(prefix)
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH))
    view, places = tf.train.TrackableView(checkpoint), _places(checkpoint, graph)
    variables = [each for each in view.descendants() if isinstance(each, tf.Variable)]
    order = {id(weight): number for number, weight in enumerate(getattr(checkpoint, "model", tf.Module()).variables)}
    variables.sort(key=lambda variable: order.get(id(variable), len(order)))
    shapes, missing, others = reader.get_variable_to_shape_map(), [], []
    for variable in variables:
        key = _key(graph.nodes[places[id(variable)]]) if id(variable) in places else None
        if key not in shapes:
            missing.append(_name(variable))
        elif not variable.shape.is_compatible_with(shapes[key]):
            others.append(f"{_name(variable)}: {shapes[key]} there, {variable.shape.as_list()} here")
    total, wrong = len(variables), []
    if missing:
        wrong.append(f"{len(missing)} of {total} variables are missing, the first {missing[0]}")
    if others:
        wrong.append(f"{len(others)} of {total} have another shape, the first {others[0]}")
    taken = set(places.values())
    left = [key for number, node in enumerate(graph.nodes) if number not in taken and (key := _key(node)) in shapes]
    if whole and left:
        wrong.append(f"{len(left)} of its values have no place here, the first {left[0].partition('/.ATTRIBUTES')[0]}")
    return wrong


def _places(checkpoint, graph):
    """{id of an object: its number in the file's graph}, of those that are reached by the same names from the root."""
    view, places, waiting = tf.train.TrackableView(checkpoint), {id(checkpoint): 0}, collections.deque([checkpoint])
    found = {0: checkpoint}
    while waiting:
        each = waiting.popleft()
        children = view.children(each)
        for child in graph.nodes[places[id(each)]].children:
            ours = children.get(child.local_name)
            if ours is not None and id(ours) not in places:
                places[id(ours)] = child.node_id
                found[child.node_id] = ours
                waiting.append(ours)
    for number, each in tuple(found.items()):  # an optimizer of the legacy kind has its moments beside its children
        for slot in graph.nodes[number].slot_variables:
            variable = found.get(slot.original_variable_node_id)
            if variable is not None and slot.slot_name in each.get_slot_names():
                places[id(each.get_slot(variable, slot.slot_name))] = slot.slot_variable_node_id
    return places


def _key(node):
    """The name under which the file has a node's value; None for a node that is no variable."""
    return next((each.checkpoint_key for each in node.attributes if each.name == VALUE), None)


def _name(variable):
    return variable.name.partition(":")[0]
