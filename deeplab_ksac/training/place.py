"""Where a run happens, and how; what is trained is the experiment's."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run happens, and how.

    Attributes:
        data_dir, workdir, strategy: as `loop.train`.
        evaluates: whether the model is evaluated on the way.
        deterministic: whether a step that could not be repeated bit for bit is refused.
    """

    data_dir: str
    workdir: str
    strategy: tf.distribute.Strategy
    evaluates: bool = True
    deterministic: bool = False
