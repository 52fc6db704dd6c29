"""The jobs of docs/cluster: their commands exist, and a worker is told which one it is."""

import json
import os
import re
import shlex
import subprocess

import pytest

from deeplab_ksac import experiments
from deeplab_ksac.scripts import convert, evaluate, train
from deeplab_ksac.training.interruption import RESTART_STATUS
from deeplab_ksac.training.strategy import check_cluster
from tests.places import ROOT
from tests.scripts.parsing import command_line

CLUSTER = ROOT / "docs/cluster"
COMMANDS = {"convert": convert, "evaluate": evaluate, "train": train}


def documents():
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all((CLUSTER / "job.yaml").read_text(encoding="utf-8")))


def commands(path):
    """The words of each `ksac` command in a file that has flags."""
    text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    for line in text.splitlines():
        found = re.search(r"\bksac (\w+ --[^`#\"]*(\"[^\"]*\"[^`#\"]*)*)", line)
        if found:
            yield shlex.split(found[1].rstrip(" &"))


@pytest.mark.parametrize("name", ("README.md", "job.yaml", "tpu_vm.sh", "train.sbatch"))
def test_the_commands_and_their_flags_exist(name):
    found = list(commands(CLUSTER / name))
    assert found
    for command, *flags in found:
        with command_line(COMMANDS[command], *flags) as given:
            assert given.data_dir
            if command == "train":
                assert given.config in experiments.EXPERIMENTS
                assert given.strategy == ("tpu" if name == "tpu_vm.sh" else "multi_worker")


@pytest.mark.parametrize("name", ("tpu_vm.sh", "train.sbatch"))
def test_the_shell_scripts_are_valid(name):
    subprocess.run(["bash", "-n", CLUSTER / name], check=True)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="sends what is committed")
@pytest.mark.parametrize("folder", (ROOT, CLUSTER))
def test_the_whole_project_is_sent_to_a_tpu_from_wherever_the_script_is_started(folder, tmp_path):
    listing = f'for word; do [ ! -f "$word" ] || tar -tzf "$word" >"{tmp_path}/sent"; done\n'
    (tmp_path / "gcloud").write_text(f"#!/bin/sh\n{listing}", encoding="utf-8")
    (tmp_path / "gcloud").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TMPDIR": str(tmp_path)}
    subprocess.run(["bash", CLUSTER / "tpu_vm.sh"], cwd=folder, env=environment, check=True)
    sent = (tmp_path / "sent").read_text(encoding="utf-8").splitlines()
    assert {"deeplab_ksac/setup.py", "deeplab_ksac/constraints-2.15.txt", "deeplab_ksac/deeplab_ksac/ksac.py"} <= {
        *sent
    }


@pytest.mark.parametrize("index", (0, 1))
def test_a_pod_sets_tf_config_from_its_index(index, tmp_path):
    service, _, job = documents()
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (tmp_path / "ksac").write_text('#!/bin/sh\nprintf %s "$TF_CONFIG"\n', encoding="utf-8")
    (tmp_path / "ksac").chmod(0o755)
    variables = {each["name"]: each["value"] for each in container["env"]}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        container["command"] + container["args"],
        env={**variables, "PATH": path, "JOB_COMPLETION_INDEX": str(index)},
        capture_output=True,
        text=True,
        check=True,
    )
    check_cluster(done.stdout)
    config = json.loads(done.stdout)
    assert config["task"] == {"type": "worker", "index": index}
    port = container["ports"][0]["containerPort"]
    name, domain = job["metadata"]["name"], service["metadata"]["name"]
    workers = [f"{name}-{each}.{domain}:{port}" for each in range(job["spec"]["completions"])]
    assert config["cluster"] == {"worker": workers} and len(workers) == job["spec"]["parallelism"] > 1
    assert pod["subdomain"] == domain and service["spec"]["selector"] == {"job-name": name}


def test_a_stop_on_request_is_no_failure_of_the_job():
    first, *_, last = documents()[-1]["spec"]["podFailurePolicy"]["rules"]
    assert first["action"] == "Ignore" and first["onExitCodes"]["values"] == [RESTART_STATUS]
    assert last["action"] == "FailJob" and last["onExitCodes"]["values"] == [1]
    assert f'"$status" -eq {RESTART_STATUS} ]' in (CLUSTER / "train.sbatch").read_text(encoding="utf-8")


@pytest.mark.parametrize("index", range(3))
def test_the_documents_fit_kubernetes_schema(index):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(documents()[index], kubernetes_validate.latest_version(), strict=True)
