"""Two workers on one machine: real processes, connected over the loopback interface."""

import json
import os
import socket
import subprocess
import sys

from scripts import ROOT
from deeplab_ksac.training.checkpoints import load_model
from tests.deeplab_ksac.training.tiny import convert
from tests.scripts.test_train import TINY_FLAGS


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_two_workers_train_one_model_and_one_of_them_writes(tmp_path):
    data_dir, workdir = convert(tmp_path), tmp_path / "run"
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    command = [sys.executable, str(ROOT / "scripts/train.py"), *TINY_FLAGS, "--strategy=multi_worker"]
    command += [f"--workdir={workdir}", f"--data_dir={data_dir}"]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    outputs = [process.communicate(timeout=500) for process in processes]
    for process, (output, errors) in zip(processes, outputs):
        assert process.returncode == 0, errors.decode()
        assert b"on 2 replica(s)" in errors and output.startswith(b"mIoU 0.")
    assert outputs[0][0] == outputs[1][0]
    assert load_model(workdir).step == 2
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 2]
