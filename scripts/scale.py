"""Works out what training needs on many devices, before there are any: memory, network, pictures a second.

    ksac scale --config=table_2_1:R10 --batch_size=2
    ksac scale --config=table_4_6:R2 --batch_size=1 --devices=8,64,512 --gigabits=25,100 --teraflops=40

Nothing is run and no weights are needed; the step is traced, which takes half a minute to a few. Memory is that of
float32 and of the step's tensors alone: what the allocator and convolutions take beside them comes on top (a sixth on
the CPU that was measured). --teraflops is what a device really computes a second in this network, not what its maker
promises; docs/cluster/scale.md has examples and says what is left out.
"""

from absl import flags

from deeplab_ksac.scripts.commandline import config, values
from deeplab_ksac.scripts.commandline.entry import start

MIB = 2**20
PASSES = 3  # forward, and twice as much backward


def define_flags():
    """What is trained, and on what."""
    config.define_flag()
    values.whole_number("batch_size", 2, "images of a device", least=1)
    values.whole_number("stage", 0, "index of the experiment's stage")
    values.whole_number(
        "num_classes", None, "number of classes (default: those of the experiment's data set)", least=1, most=65_535
    )
    values.whole_numbers("devices", "8,64,512", "numbers of devices", least=1)
    values.whole_number("per_node", 8, "devices of a machine", least=1)
    values.whole_numbers("gigabits", "25,100", "what a machine's network carries a second, in Gbit", least=1)
    values.number("teraflops", 20.0, "what a device really computes a second, in 10^12 operations", "(0, inf)")
    values.number("microseconds", 20.0, "what a message over the network takes beside its bytes", "[0, inf)")
    flags.mark_flag_as_required("config")


def run(given):
    """Prints two tables.

    Raises:
        ValueError: an experiment without such a stage, or whose classes are not known.
    """
    experiment = config.chosen(given.config)
    if given.stage >= len(experiment.stages):
        raise ValueError(f"--stage must be below {len(experiment.stages)}, the stages of {experiment.name}")

    from deeplab_ksac.flops.tables import num_classes
    from deeplab_ksac.training.needs import seconds_of_exchange, step_needs

    classes = given.num_classes or num_classes(experiment)
    needs = step_needs(experiment, classes, given.batch_size, stage=given.stage)
    height, width = experiment.stages[given.stage].data.crop_size
    print(f"{experiment.name}, {given.batch_size} images of {height}x{width} a device, {classes} classes, float32\n")
    rows = [("weights", needs.weights), ("moving averages", needs.averages), ("optimizer", needs.optimizer)]
    rows += [("activations, gradients", needs.step.total), ("together", needs.memory)]
    print(f"{'memory of a device':<28}{'MiB':>12}")
    for name, size in rows:
        print(f"{name:<28}{size / MIB:>12,.1f}")
    print(f"\n{'exchanged in a step':<28}{'MiB':>12}")
    for name, size in needs.exchanged.items():
        print(f"{name:<28}{size / MIB:>12,.2f}")
    print(f"in {needs.exchanges} sums that wait for each other\n")
    computing = PASSES * 2 * needs.multiply_adds * given.batch_size / (given.teraflops * 1e12)
    print(
        f"a step computes {computing:.3f} s at {given.teraflops:g} TFLOP/s; a machine's input, if nothing else waits:"
    )
    print(f"{given.per_node * given.batch_size / computing:,.0f} pictures a second\n")
    print(f"{'devices':>8}{'Gbit/s':>8}{'exchange, s':>14}{'efficiency':>12}{'pictures/s':>12}")
    for devices in given.devices:
        for gigabits in given.gigabits:
            network = {"per_node": given.per_node, "gigabits": gigabits, "microseconds": given.microseconds}
            exchange = seconds_of_exchange(needs, devices, **network)
            efficiency = computing / (computing + exchange)
            pictures = devices * given.batch_size / (computing + exchange)
            print(f"{devices:>8}{gigabits:>8}{exchange:>14.3f}{efficiency:>12.2f}{pictures:>12,.0f}")
    return 0


if __name__ == "__main__":
    start("scale", define_flags, run)
