#!/usr/bin/env bash
# Trains on one TPU VM (one host): bash tpu_vm.sh
# NEVER RUN: there was no TPU. The commands follow Google's documentation of 2026; README.md says which versions match.
# Edit the first lines. A TPU costs money until `gcloud compute tpus tpu-vm delete`.
set -euo pipefail

name=ksac
zone=us-central1-a
accelerator=v5litepod-8       # v5e, 8 chips on one host
runtime=tpu-vm-tf-2.15.1-pjrt # TensorFlow as in constraints-2.15.txt
data=gs://bucket/data         # the converted sets: `ksac convert` with this --data_dir
workdir=gs://bucket/runs/voc  # the VM's service account must be allowed to read and write the bucket

on_vm() { gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --command="$1"; }
to_vm() { gcloud compute tpus tpu-vm scp --recurse "$1" "$name:$2" --zone="$zone"; }

gcloud compute tpus tpu-vm create "$name" --zone="$zone" --accelerator-type="$accelerator" --version="$runtime"

# The project as committed: the whole repository that this file is in, wherever the script is started.
archive=$(mktemp -d)/deeplab_ksac.tar.gz
root=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)
git -C "$root" archive --format=tar.gz --prefix=deeplab_ksac/ --output="$archive" HEAD
to_vm "$archive" .
on_vm "tar -xzf deeplab_ksac.tar.gz"

# PyPI's TensorFlow knows no TPU; the image brings one that does. The environment sees that one, and pip keeps it.
on_vm "python3 -m venv --system-site-packages venv && \
    venv/bin/pip install --constraint deeplab_ksac/constraints-2.15.txt ./deeplab_ksac && \
    venv/bin/python -c 'import tensorflow as tf; print(tf.__version__, tf.__file__); \
        tf.distribute.cluster_resolver.TPUClusterResolver(tpu=\"local\"); print(tf.config.list_logical_devices())'"

# The same command continues after a stop (status 42) or a preemption, on another VM too.
on_vm "venv/bin/ksac train --config=voc_mobilenet_v2_ksac --workdir=$workdir --data_dir=$data \
    --strategy=tpu --tpu=local --precision=mixed_bfloat16"

# gcloud compute tpus tpu-vm delete "$name" --zone="$zone"
