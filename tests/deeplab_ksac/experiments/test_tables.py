"""The thesis's tables as experiments: every row has its number, binds to what it names, and builds."""

import itertools

import pytest

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.construct import construct
from deeplab_ksac.datasets import CATALOG, source
from deeplab_ksac.experiment import Part
from deeplab_ksac.experiments import EXPERIMENTS, TABLE_ROWS, TABLES, table_4_5
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.decoders import DECODERS
from deeplab_ksac.heads.necks import NECKS
from deeplab_ksac.heads.projection import PROJECTIONS
from deeplab_ksac.losses import LOSSES, build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.zero_weights import zero_weights
from tests.deeplab_ksac.experiments.shrinking import shrunk, taken
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known

OURS = {name: row for name, row in TABLE_ROWS.items() if row.experiment is not None}
PARTS = {"neck": NECKS, "head": HEADS, "projection": PROJECTIONS, "decoder": DECODERS}
PRINTED_ROWS = {  # rows of the thesis's tables that name a number each, where the text has them
    **{"2.1": 24, "2.2": 4, "2.3": 14, "2.4": 2, "3.1": 7, "3.2": 3, "3.3": 4, "3.5": 7, "3.6": 9, "3.7": 8, "3.8": 7},
    **{"3.9": 4, "3.10": 8, "3.11": 5, "4.1": 16, "4.2": 8, "4.3": 6, "4.4": 8, "4.5": 56, "4.6": 11, "4.7": 9},
    "4.8": 12,
}


def distinct(items):
    """Equal values once; frozen values that hold dicts cannot be hashed."""
    return list({repr(item): item for item in items}.values())


BACKBONE_PARTS = distinct(row.experiment.model.backbone for row in OURS.values())
MODELS = distinct(shrunk(row.experiment.model) for row in OURS.values())
SPLITS = sorted(
    {
        name
        for row in OURS.values()
        for name in (
            row.experiment.evaluation.dataset,
            *itertools.chain(*(stage.data.sources for stage in row.experiment.stages)),
        )
    }
)


def test_every_printed_row_is_there_under_its_own_name():
    counted = {number: len(table.rows) for number, table in TABLES.items()}
    assert {number: count for number, count in counted.items() if number != "3.4"} == PRINTED_ROWS
    for name, row in TABLE_ROWS.items():
        assert row.source.replace("Table ", "table_").replace(".", "_", 1).replace(", ", ":", 1) == name
        if row.experiment is None:
            assert name not in EXPERIMENTS and row.miou_ms_flip is not None
        else:
            assert EXPERIMENTS[name] is row.experiment and row.experiment.name == name
        numbers = (row.miou, row.miou_ms_flip, row.gflops)
        assert any(number is not None for number in numbers) or "not in the text" in row.note
        assert row.method and all(number is None or 20 < number < 300 for number in numbers)


def test_the_numbers_belong_to_the_evaluation_that_the_row_has():
    for name, row in OURS.items():
        multi_scale = len(row.experiment.evaluation.views.scales) > 1
        assert multi_scale == row.experiment.evaluation.views.flip, name
        assert row.miou is None or not multi_scale, name
        assert row.miou_ms_flip is None or multi_scale or row.miou is not None, name


def test_the_same_run_has_the_same_number_in_every_table():
    """Table 4.6 and 2.3 quote numbers of other tables, rounded or of another run."""
    runs = {}
    for name, row in OURS.items():
        experiment = row.experiment
        key = repr((experiment.model, experiment.stages, experiment.losses, experiment.seed, experiment.evaluation))
        runs.setdefault(key, []).append((name, row.miou if row.miou is not None else row.miou_ms_flip))
    repeated = [numbers for numbers in runs.values() if len(numbers) > 1]
    assert len(repeated) >= 20
    for numbers in repeated:
        known = [number for _, number in numbers if number is not None]
        assert max(known, default=0) - min(known, default=0) <= 0.2, numbers


@pytest.mark.parametrize("named", BACKBONE_PARTS, ids=lambda named: named.name)
def test_a_backbone_binds(named):
    assert set(named.args) <= set(taken(BACKBONES[named.name]))
    spec = next(row.experiment.model for row in OURS.values() if row.experiment.model.backbone == named)
    assert spec.output_stride in (8, 16, 32)


@pytest.mark.parametrize("name", SPLITS)
def test_a_data_set_and_its_split_are_in_the_catalog(name):
    dataset, _, split = name.partition("/")
    assert dataset in CATALOG
    assert split in (source(dataset).INFO.splits or {split: "any split of any size is right"})


def test_every_other_part_binds_to_the_constructor_it_names():
    for kind, table in PARTS.items():
        for named in distinct(getattr(row.experiment.model, kind) for row in OURS.values()):
            if named is not None:
                assert set(named.args) <= set(taken(table[named.name])), named
    for losses in distinct(row.experiment.losses for row in OURS.values()):
        assert len(build_objective(losses, 59).losses) == len(losses)
    for stage in distinct(stage for row in OURS.values() for stage in row.experiment.stages):
        build_optimizer(stage.optimizer, stage.steps, stage.schedule)


@pytest.fixture(scope="module")
def built():
    """The shrunken model of each row, equal ones built once: {repr of the spec: outputs}."""
    with zero_weights(), tiny_backbone_known():
        return {repr(spec): build_model(spec, 3).output for spec in MODELS}


@pytest.mark.parametrize("number", TABLES)
def test_every_row_builds_and_gives_what_its_losses_read(number, built):
    for label, row in TABLES[number].rows.items():
        if row.experiment is None:
            continue
        outputs = built[repr(shrunk(row.experiment.model))]
        assert outputs["logits"].shape[-1] == 3, label
        for loss in row.experiment.losses:
            read = construct(LOSSES, loss, num_classes=3).output
            assert read in outputs, f"{label}: {loss.name} reads {read}"


def test_car_comes_with_its_projection_and_the_terms_of_its_row():
    for label, terms in (("R3", 1), ("R4", 2), ("R5", 3), ("S8", 3)):
        row = TABLES["4.1"].rows[label]
        (car,) = [loss for loss in row.experiment.losses if loss.name == "class_aware"]
        weights = construct(LOSSES, car, num_classes=59).regularizer.weights_of_terms
        assert len(weights) == terms and row.experiment.model.projection == Part("linear", {"filters": 512})
    marked = TABLES["4.5"].rows["R20_coco_stuff10k"].experiment.losses[-1]
    assert construct(LOSSES, marked, num_classes=171).regularizer.settings.c2c_threshold == 0.25


def test_rows_differ_from_their_baselines_as_the_columns_say():
    rows = TABLES["4.6"].rows
    stages = [rows[label].experiment.stages[0] for label in ("R10", "R11")]
    assert [stage.steps for stage in stages] == [30_000, 40_000]
    assert [stage.optimizer.name for stage in stages] == ["adam", "adam"]
    assert rows["R9"].experiment.model.auxiliary is None and rows["R10"].experiment.model.auxiliary is not None
    assert TABLES["2.2"].rows["R3"].experiment.model.head.args["atrous_rates"] == (1, 6, 12, 18, 24)
    assert [len(TABLES["2.1"].rows[label].experiment.stages) for label in ("R13", "R14")] == [2, 3]
    seeds = [row.experiment.seed for row in TABLES["4.8"].rows.values()]
    assert seeds == [0, 1, 2] * 4


def thresholds(rows):
    """{label: the settings of CAR} of the rows that have some."""
    cars = {label: row.experiment.losses[-1] for label, row in rows.items() if row.experiment.losses[-1].args}
    return {label: car.args["settings"] for label, car in cars.items() if "settings" in car.args}


def test_the_marked_rows_of_table_4_5_have_the_lower_threshold():
    """Those that the thesis's text marks with § or what is left of it; § means ε₀ = 0.25, on COCO-Stuff alone."""
    marked = [f"R{row}_coco_stuff10k" for row in (2, 4, 10, 20, 24)]
    assert thresholds(TABLES["4.5"].rows) == {label: {"c2c_threshold": 0.25} for label in marked}


def test_the_threshold_of_table_4_5_does_not_hang_on_its_notes():
    silent = table_4_5.rows([(*baseline[:-1], "") for baseline in table_4_5.BASELINES])
    talkative = table_4_5.rows([(*baseline[:-1], "A remark.") for baseline in table_4_5.BASELINES])
    assert thresholds(silent) == thresholds(talkative) == thresholds(table_4_5.TABLE.rows)
    assert len(thresholds(silent)) == 5


def test_the_tables_are_registered_under_their_numbers_in_the_thesis_order():
    assert [table.number for table in TABLES.values()] == list(TABLES)
    order = [tuple(map(int, number.split("."))) for number in TABLES]
    assert order == sorted(order) and len(order) == 23
