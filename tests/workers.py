"""Several workers of one training on one machine: real processes, connected over the loopback interface."""

import json
import os
import socket
import subprocess
import sys
import time

from tests.places import ROOT

# scripts/train.py, which knows one more experiment and one more backbone.
PROGRAM = """
import runpy, sys
from deeplab_ksac.experiments import EXPERIMENTS
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT

EXPERIMENTS["tiny"] = EXPERIMENT
sys.argv[0] = "scripts/train.py"
with tiny_backbone_known():
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def by_tf_config(count):
    """The environment of each of so many workers."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    tasks = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in range(count)]
    return [{"TF_CONFIG": json.dumps(task)} for task in tasks]


def by_slurm(count):
    """The environment of each of so many tasks on one node, of a step whose ports are likely free."""
    step = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_ID": "0", "SLURMD_NODENAME": "localhost"}
    step |= {"SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_TASKS_PER_NODE": str(count)}
    step |= {"SLURM_STEP_NUM_TASKS": str(count)}
    return [{**step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(count)]


def start(data_dir, workdir, *flags, workers=2, environments=by_tf_config):
    """The workers of one run; one alone is a process without others."""
    command = [sys.executable, "-c", PROGRAM, "--config=tiny", *flags]
    command += [f"--strategy={'multi_worker' if workers > 1 else 'one_device'}"]
    command += [f"--workdir={workdir}", f"--data_dir={data_dir}"]
    processes = []
    for environment in environments(workers) if workers > 1 else [{}]:
        options = {"cwd": ROOT, "env": {**os.environ, **environment}}
        processes.append(subprocess.Popen(command, **options, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    return processes


def finish(processes):
    """(exit status, output, errors) of each."""
    try:
        outputs = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *map(bytes.decode, output)) for process, output in zip(processes, outputs)]


def wait_for(condition, processes):
    """Until the condition holds, while the processes run."""
    end = time.monotonic() + 400
    while not condition():
        assert time.monotonic() < end and all(process.poll() is None for process in processes), finish(processes)
        time.sleep(0.05)
