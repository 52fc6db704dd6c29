"""Table 4.8: CAR with three random seeds."""

import dataclasses

from deeplab_ksac.experiment import Row
from deeplab_ksac.experiments.chapter_4 import PROTOCOL, self_attention, upernet, with_full_car
from deeplab_ksac.experiments.common import table

RUNS = {
    "R1": ("ResNet-50 + self-attention", self_attention(), (48.32, 47.54, 47.69)),
    "R2": ("ResNet-50 + self-attention + CAR", with_full_car(self_attention()), (50.50, 50.20, 50.59)),
    "R3": ("Swin-Tiny + UperNet", upernet(), (49.62, 49.24, 49.54)),
    "R4": ("Swin-Tiny + UperNet + CAR", with_full_car(upernet()), (50.78, 50.57, 50.75)),
}

ROWS = {
    f"{label}_seed{seed}": Row(dataclasses.replace(trained, seed=seed), f"{method}, seed {seed}", miou=miou)
    for label, (method, trained, numbers) in RUNS.items()
    for seed, miou in enumerate(numbers)
}

TABLE = table("4.8", "CAR with three seeds, PASCAL Context", ROWS, PROTOCOL)
