"""Workers by Slurm's variables, recorded from `srun -N2 --ntasks-per-node=1` of Slurm 22.05 on the nodes n9 and n10."""

import pytest

from deeplab_ksac.training import slurm, strategy

RECORDED = {
    "SLURM_JOB_ID": "1",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "n[9-10]",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
    "SLURMD_NODENAME": "n10",
}


@pytest.fixture
def task(monkeypatch):
    """A function that makes this process a task of a step; with some variables changed, or None: not set."""
    for name in ("TF_CONFIG", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")  # no nvidia-smi

    def become(**changes):
        for name, value in {**RECORDED, **changes}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return become


@pytest.mark.parametrize(
    ("nodes", "tasks_per_node", "places"),
    (
        ("n[9-10]", "1(x2)", ("n9 0", "n10 0")),
        ("gpu01", "1", ("gpu01 0",)),
        ("a3,b[08-09]", "2,1(x2)", ("a3 0", "a3 1", "b08 0", "b09 0")),
        ("a[1-2]", "2(x2)", ("a1 0", "a2 0", "a1 1", "a2 1")),  # --distribution=cyclic
    ),
)
def test_each_task_is_the_worker_at_its_own_address(nodes, tasks_per_node, places, task):
    step = {"SLURM_STEP_NODELIST": nodes, "SLURM_STEP_TASKS_PER_NODE": tasks_per_node}
    found = []
    for rank, place in enumerate(places):
        node, local = place.split()
        own = {"SLURM_PROCID": str(rank), "SLURMD_NODENAME": node, "SLURM_LOCALID": local}
        task(**step, **own, SLURM_STEP_NUM_TASKS=str(len(places)))
        resolver = slurm.resolver()
        addresses = resolver.cluster_spec().as_dict()["worker"]
        host, port = addresses[resolver.task_id].split(":")
        assert host == node and (int(port) - int(local)) in slurm.PORTS
        found.append((addresses, resolver.task_type, resolver.task_id))
    assert {kind for _, kind, _ in found} == {"worker"}
    assert all(addresses == found[0][0] for addresses, _, _ in found)
    assert sorted(index for _, _, index in found) == list(range(len(places))) and len(set(found[0][0])) == len(places)


@pytest.mark.parametrize("other", ({"SLURM_JOB_ID": "2"}, {"SLURM_STEP_ID": "1"}))
def test_two_steps_on_a_node_have_their_own_ports(other, task):
    task()
    first = slurm.resolver().cluster_spec().as_dict()["worker"]
    task(**other)
    assert not set(first) & set(slurm.resolver().cluster_spec().as_dict()["worker"])


def test_the_gpus_that_slurm_gave_are_left_as_they_are(task, monkeypatch):
    task()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    slurm.resolver()
    assert slurm.os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"


@pytest.mark.parametrize("name", sorted(set(RECORDED) - {"SLURM_JOB_ID"}))
def test_outside_of_srun_the_error_names_the_variable(name, task):
    task(**{name: None})
    with pytest.raises(ValueError, match=rf"{name} .*srun.*TF_CONFIG") as raised:
        strategy.create_strategy("multi_worker")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    (
        ("SLURM_STEP_NODELIST", "n[9-10]-ib"),
        ("SLURM_STEP_TASKS_PER_NODE", "all"),
        ("SLURM_STEP_NUM_TASKS", "3"),
        ("SLURM_LOCALID", "first"),
        ("SLURMD_NODENAME", "n11"),
    ),
)
def test_variables_that_do_not_fit_are_an_error_of_one_line(name, value, task):
    task(**{name: value})
    with pytest.raises(ValueError, match=r"in a job of Slurm.*srun.*TF_CONFIG") as raised:
        strategy.create_strategy("multi_worker")
    assert "\n" not in str(raised.value)


def test_without_slurm_and_tf_config_the_error_names_both(task):
    task(SLURM_JOB_ID=None)
    with pytest.raises(ValueError, match=r"TF_CONFIG.*no job of Slurm"):
        strategy.create_strategy("multi_worker")
