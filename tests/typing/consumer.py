"""What README and docs name, as a project that uses this one writes it; mypy checks it, nothing runs it."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow import keras

import deeplab_ksac
from caa import AxialAttention, ChannelizedAxialAttention
from car import ClassAwareEndpoint, ClassAwareRegularizer
from deeplab_ksac import KSAC, KernelSharingAtrousConv, Listener, MLflowListener, Predictor, build_model, train
from deeplab_ksac.evaluation import Evaluator, evaluate
from deeplab_ksac.experiment import EvalSpec, Experiment, ModelSpec, Stage, Views, part
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.training.strategy import create_strategy

version: str = deeplab_ksac.__version__


def layers(features: tf.Tensor, labels: tf.Tensor) -> Mapping[str, tf.Tensor]:
    x = KernelSharingAtrousConv(256, atrous_rates=(6, 12, 18), merge="sum")(features)
    x = KSAC(256, atrous_rates=[6, 12, 18], method="direct", name="ksac")(x)
    x = ChannelizedAxialAttention(512, gate_width=128, groups=None)(AxialAttention(512, norm=None)(x))
    x = ClassAwareEndpoint(num_classes=59)(x, labels)
    terms: Mapping[str, tf.Tensor] = ClassAwareRegularizer(59, {"intra_c2p": 0.5}, centers="image")(x, labels)
    return terms


def model() -> keras.Model:
    spec = ModelSpec(backbone=part("resnet101"), head=part("caa", filters=512), output_stride=8)
    return build_model(spec, num_classes=59)


def training(stage: Stage) -> None:
    scenes: Experiment = EXPERIMENTS["scenes_ksac"]
    views = Views(scales=(0.75, 1.0), flip=True, window=(513, 513))
    experiment = Experiment("mine", scenes.model, (stage,), EvalSpec("mine/val", views))
    figures = train(experiment, workdir="runs/mine", data_dir="data", strategy=create_strategy())
    if figures is not None:
        print(figures["miou"])


class MyHead(keras.layers.Layer):
    def call(self, pyramid: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        return {"features": pyramid["c5"]}


class Printer(Listener):
    def on_step(self, step: int, values: Mapping[str, float]) -> None:
        print(step, values["loss"])


def own() -> None:
    spec = ModelSpec(backbone=part("resnet101"), head=part(MyHead, trainable=True))
    scenes = EXPERIMENTS["scenes_ksac"]
    experiment = Experiment("mine", spec, scenes.stages, scenes.evaluation)
    train(experiment, data_dir="data", workdir="runs/mine", listeners=[Printer(), MLflowListener()])


def prediction(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    predictor = Predictor.load("runs/mine", views=Views(flip=True), checkpoint="best")
    classes: npt.NDArray[np.uint8] = predictor(image)
    probabilities: npt.NDArray[np.float32] = predictor.probabilities(image)
    return classes if predictor.info is None else probabilities


def evaluation(batches: Iterable[Mapping[str, tf.Tensor]]) -> float:
    loaded = load_model("runs/mine", checkpoint=100)
    export_saved_model(loaded.model, "saved_model", info=loaded.info, views=loaded.experiment.evaluation.views)
    evaluator = Evaluator(loaded.model, num_classes=loaded.info.num_classes)
    again = evaluate(loaded.model, batches, num_classes=loaded.info.num_classes, boundary_tolerance=0.0075)
    return float(evaluator(batches)["miou"] - again["miou"])
