"""Wrong use of what `consumer.py` uses: mypy must find an error of the code named behind each `# E:`, and no other."""

import deeplab_ksac
from caa import AxialAttention, ChannelizedAxialAttention
from car import ClassAwareEndpoint, ClassAwareRegularizer
from deeplab_ksac import KSAC, KernelSharingAtrousConv, Predictor, Pyramid, build_model, train  # E: attr-defined
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import ModelSpec, Views, part
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.runs.checkpoints import load_model

deeplab_ksac.no_such_name  # E: attr-defined
KSAC("256")  # E: arg-type
KernelSharingAtrousConv(256, atrous_rates=6)  # E: arg-type
AxialAttention("512")  # E: arg-type
ChannelizedAxialAttention(512, groups="16")  # E: arg-type
ClassAwareRegularizer()  # E: call-arg
ClassAwareEndpoint(num_classes=59.0)  # E: arg-type
ModelSpec(backbone="resnet101", head=part("caa"))  # E: arg-type
build_model(part("resnet101"), num_classes=59)  # E: arg-type
Views(scale=(1.0,))  # E: call-arg
Predictor.load("runs/mine", views=(0.75, 1.0))  # E: arg-type
load_model(3).experiment.no_such_field  # E: arg-type attr-defined
train(load_model("runs/mine").experiment, data_dir="data")  # E: call-arg
train(load_model("runs/mine").experiment, data_dir="data", workdir="runs/mine", listeners=[3])  # E: list-item
part(3, filters=64)  # E: arg-type
loaded = load_model("runs/mine")
evaluate(loaded.model, 3, num_classes=loaded.info.num_classes)  # E: arg-type
export_saved_model(loaded.model, "saved_model")  # E: call-arg
