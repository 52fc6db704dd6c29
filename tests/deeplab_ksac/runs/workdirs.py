"""Workdirs as training and evaluation leave them."""

import dataclasses
import json

from deeplab_ksac.experiment import to_dict
from deeplab_ksac.experiments import EXPERIMENTS, TABLES


def write_run(folder, experiment, *, evaluations=(), steps=0, name=None, **views):
    """A workdir as training and evaluation leave it; evaluations are (mIoU, step, scales), `views` what all have."""
    workdir = folder / (name or experiment.name.replace(":", "_"))
    workdir.mkdir(parents=True)
    (workdir / "experiment.json").write_text(json.dumps(to_dict(experiment)))
    lines = [{"stage": 0, "step": step, "train/loss": 10 / step} for step in range(100, steps + 1, 100)]
    lines.append({"stage": 0, "step": steps, "eval/miou": 0.5})
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": 0, "st')
    dataset, split = experiment.evaluation.dataset.split("/")
    for index, (miou, step, scales) in enumerate(evaluations):
        content = {"dataset": dataset, "split": split, "step": step, "scales": scales, "flip": len(scales) > 1}
        (workdir / f"eval_{index}.json").write_text(json.dumps({**content, **views, "miou": miou}))
    return workdir


def write_runs(folder):
    """A finished run of a row, an unfinished one, one of two seeds, and one with fewer steps; the folder."""
    row = TABLES["4.1"].rows["R8"].experiment
    write_run(folder, row, evaluations=[(0.5, 30_000, [1.0]), (0.52, 30_000, [0.5, 1.0])], steps=300)
    unfinished = TABLES["4.1"].rows["R1"].experiment
    write_run(folder, unfinished, evaluations=[(0.3, 1000, [1.0])], steps=300)
    repeated = TABLES["3.1"].rows["R4"].experiment
    for seed, miou in enumerate((0.50, 0.52)):
        experiment = dataclasses.replace(repeated, seed=seed)
        write_run(folder, experiment, evaluations=[(miou, 40_000, [1.0])], name=f"caa_{seed}")
    short = EXPERIMENTS["table_4_1:R2"]
    short = dataclasses.replace(short, stages=(dataclasses.replace(short.stages[0], steps=7),))
    write_run(folder, short, evaluations=[(0.1, 7, [1.0])], name="<short> & overridden")
    return folder
