"""Which workers a job step of Slurm has, and which of them this process is."""

import os

import tensorflow as tf

from deeplab_ksac.errors import in_one_line

# Below the ports that Linux lends to outgoing connections (from 32768 on), above those of most services.
PORTS = range(12000, 32000, 20)


def is_inside() -> bool:
    """Whether this process belongs to a job of Slurm; it may still be outside of every step."""
    return "SLURM_JOB_ID" in os.environ


def resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    """The workers of this process's job step, one for each of its tasks, as `srun` sets its variables.

    Raises:
        ValueError: the variables are incomplete, as outside of `srun`, or TensorFlow cannot read them.
    """
    try:
        first_port = _first_port()
        # The number of GPUs is made up, and nothing is made of it: without a GPU the resolver would count ports in
        # steps of zero. Which GPUs a task sees is left to Slurm.
        found = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=first_port,
            gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        spec = found.cluster_spec()
        own = f"{os.environ['SLURMD_NODENAME']}:{first_port + int(os.environ['SLURM_LOCALID'])}"
    except KeyError as error:
        raise _unreadable(f"{error.args[0]} is not set") from error
    except (RuntimeError, ValueError) as error:
        raise _unreadable(in_one_line(error)) from error
    # It takes a task's rank for its place in the list of workers. But the list has the hosts sorted as text, n10 before
    # n9, and ranks go in Slurm's order.
    addresses = spec.as_dict()["worker"]
    if own not in addresses:
        raise _unreadable(f"{own} is none of {', '.join(addresses)}")
    own_task = {"task_type": "worker", "task_id": addresses.index(own)}
    return tf.distribute.cluster_resolver.SimpleClusterResolver(spec, **own_task, rpc_layer="grpc")


def _unreadable(reason):
    return ValueError(
        f"strategy multi_worker is in a job of Slurm, but cannot read its workers ({reason}); start the command with "
        "srun inside of the job, or set TF_CONFIG"
    )


def _first_port():
    """The port of a node's first task: another one for each job and step, since two may share a node."""
    return PORTS[(31 * int(os.environ["SLURM_JOB_ID"]) + int(os.environ["SLURM_STEP_ID"])) % len(PORTS)]
