"""A training as a run of MLflow (the extra `mlflow`): parameters, metrics, and where its checkpoints are."""

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.json_files import DamagedFileError, check_fields, is_text, read_object
from deeplab_ksac.own_files import packed
from deeplab_ksac.runs.workdir import read_experiment
from deeplab_ksac.storage import Place, absolute, place
from deeplab_ksac.training.listeners import EvaluationResult, Listener, StageStart
from deeplab_ksac.whole_files import write_whole

RUN_FILE = "mlflow.json"  # in the run's folder: which run of MLflow it is
MOST_PARAMETERS, LONGEST_VALUE = 100, 500  # of a call, and in characters, that every store of MLflow takes


class MLflowListener(Listener):
    """Writes what it is told to a run of MLflow; a training that goes on after an interruption goes on in its run.

    Parameters are the experiment's fields ("model.head.name"), metrics "train/loss", "eval/miou" … over the steps of
    all stages together. What is told again after an interruption stands there twice: MLflow takes nothing away.

    Example:
        train(experiment, data_dir="data", workdir="runs/a", listeners=[MLflowListener("http://localhost:5000")])

    Args:
        tracking_uri: where MLflow keeps its runs: a server, "sqlite:///mlflow.db" (with all of MLflow installed), or a
            folder, "file:///home/me/mlruns" (with MLFLOW_ALLOW_FILE_STORE=true). None takes what MLflow's environment
            says.
        experiment_name: MLflow's experiment, a group of runs; it is made where there is none.
        run_name: of the run; by default the name of the training's experiment.

    Raises:
        OSError: MLflow is not installed.
        ValueError: MLflow does not take the address.
    """

    def __init__(
        self, tracking_uri: str | None = None, *, experiment_name: str = "deeplab_ksac", run_name: str | None = None
    ):
        try:
            import mlflow
        except ImportError as error:
            raise OSError(
                f"MLflowListener writes with MLflow, which cannot be imported ({in_one_line(error)}): "
                "pip install 'deeplab-ksac[mlflow]'"
            ) from None
        self.tracking_uri = tracking_uri or mlflow.get_tracking_uri()
        try:
            self.client, self.entities = mlflow.MlflowClient(self.tracking_uri), mlflow.entities
        except mlflow.exceptions.MlflowException as error:
            raise ValueError(f"MLflow does not take {self.tracking_uri}: {in_one_line(error)}") from error
        self.experiment_name, self.run_name = experiment_name, run_name

    def on_stage(self, start: StageStart) -> None:
        experiment = read_experiment(start.workdir)
        self.before = sum(stage.steps for stage in experiment.stages[: start.stage])
        self.is_last = start.stage == len(experiment.stages) - 1
        path = place(start.workdir) / RUN_FILE
        self.run_id = self._known(path) if path.is_file() else self._begun(path, experiment)

    def on_step(self, step: int, values: Mapping[str, float]) -> None:
        self._log(step, {f"train/{name}": value for name, value in values.items()})

    def on_evaluation(self, step: int, result: EvaluationResult) -> None:
        self._log(step, result.scalars())

    def on_checkpoint(self, step: int, path: Place) -> None:
        self.client.set_tag(self.run_id, "checkpoint", str(absolute(path)))

    def on_stage_end(self, finished: bool) -> None:
        if not finished:
            self.client.set_terminated(self.run_id, "KILLED")
        elif self.is_last:
            self.client.set_terminated(self.run_id, "FINISHED")

    def _known(self, path):
        """The id of the run that a file names, which goes on."""
        known = read_object(path)
        check_fields(path, known, {"tracking_uri": ("text", is_text), "run_id": ("text", is_text)}, {})
        if known["tracking_uri"] != self.tracking_uri:
            raise DamagedFileError(f"{path} names a run at {known['tracking_uri']}, not {self.tracking_uri}")
        self.client.update_run(known["run_id"], status="RUNNING")
        return known["run_id"]

    def _begun(self, path, experiment):
        """The id of a new run with the experiment's parameters, which a file names from now on."""
        group = self.client.get_experiment_by_name(self.experiment_name)
        group_id = self.client.create_experiment(self.experiment_name) if group is None else group.experiment_id
        name, tags = self.run_name or experiment.name, {"workdir": str(absolute(path.parent))}
        run_id = self.client.create_run(group_id, run_name=name, tags=tags).info.run_id
        fields, _ = packed(experiment)
        parameters = iter([self.entities.Param(name, str(value)[:LONGEST_VALUE]) for name, value in _flat(fields)])
        while several := list(itertools.islice(parameters, MOST_PARAMETERS)):
            self.client.log_batch(run_id, params=several)
        write_whole(path, json.dumps({"tracking_uri": self.tracking_uri, "run_id": run_id}) + "\n")
        return run_id

    def _log(self, step, values):
        now = int(time.time() * 1000)
        metrics = [
            self.entities.Metric(name, float(value), now, self.before + step)
            for name, value in values.items()
            if np.isfinite(value)
        ]
        self.client.log_batch(self.run_id, metrics=metrics)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """("stages.0.steps", 100) of every field of an experiment; lists of plain values are one."""
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        yield path, value
    elif isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    else:
        yield path, value
