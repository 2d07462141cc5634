"""The record of a training sweep: every run once, wrong input refused before anything runs."""

import json

import pytest

from clopsim.runs.recipes import AXES, TrainingSweep
from clopsim.training.recipe import Training


def test_every_combination_is_a_run_with_the_recipe_of_its_cell():
    record = TrainingSweep(
        base=Training(seed=5, steps=7), loss=("dcl", "infonce"), rate=(0.1, 1.0), weight=(0.0, 2.0), seeds=3
    )
    cells = record.cells()
    assert len(set(cells)) == len(cells) == 2 * 2 * 2 * 3
    assert [cell.seed for cell in cells[:4]] == [5, 6, 7, 5]
    for cell in cells:
        recipe = record.recipe(cell)
        assert all(getattr(recipe, name) == value for name, value in cell._asdict().items())
        assert recipe.prototypes == ("orthonormal" if cell.weight else "none")
        assert recipe.steps == 7
    simplex = TrainingSweep(base=Training(prototypes="simplex"))
    assert simplex.recipe(simplex.cells()[-1]).prototypes == "simplex"


@pytest.mark.parametrize(
    "loss, weight, expected",
    [
        (("clop",), (0.0, 1.0), {("infonce", 1.0)}),
        (("clop", "infonce"), (0.0, 1.0), {("infonce", 0.0), ("infonce", 1.0)}),
        (("infonce", "clop"), (1.0,), {("infonce", 0.0), ("infonce", 1.0)}),
        (("clop", "vicreg"), (1.0, 10.0), {("infonce", 1.0), ("infonce", 10.0), ("vicreg", 0.0)}),
        (("vicreg", "infonce"), (0.0, 1.0), {(loss, w) for loss in ("vicreg", "infonce") for w in (0.0, 1.0)}),
    ],
)
def test_clop_is_infonce_with_prototypes_and_leaves_the_losses_beside_it_without(loss, weight, expected):
    record = TrainingSweep(loss=loss, weight=weight, rate=(0.1, 1.0))
    cells = record.cells()
    assert len(set(cells)) == len(cells) == 2 * 3 * len(expected)
    assert {(cell.loss, cell.weight) for cell in cells} == expected
    axes = record.axes()
    assert all(cell.loss in axes["loss"] and cell.weight in axes["weight"] for cell in cells)
    for cell in cells:
        assert record.recipe(cell).prototypes == ("orthonormal" if cell.weight else "none")
    assert TrainingSweep.from_plain(json.loads(json.dumps(record.to_plain()))) == record


def test_a_plan_from_before_an_option_has_its_default_and_the_schedule_warmup_is_spelt_out():
    record = TrainingSweep(base=Training(prototypes="orthonormal", seed=3))
    plain = {name: value for name, value in record.to_plain().items() if name not in ("optimizer", "warmup")}
    assert TrainingSweep.from_plain(plain) == record
    warm = TrainingSweep.from_plain({**record.to_plain(), "schedule": "warmup", "steps": 50, "optimizer": "lars"})
    assert (warm.base.schedule, warm.base.warmup, warm.base.optimizer) == ("cosine", 5, "lars")
    assert TrainingSweep.from_plain(warm.to_plain()) == warm


@pytest.mark.parametrize("name", AXES)
def test_axes_must_hold_something_and_each_value_once(name):
    with pytest.raises(ValueError, match=f"^{name} must hold at least one value, got none"):
        TrainingSweep(**{name: ()})
    value = getattr(TrainingSweep(), name)[0]
    with pytest.raises(ValueError, match=f"^{name} must hold each value once"):
        TrainingSweep(**{name: (value, value)})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"loss": ("clop",), "weight": (0.0,)}, "weight must hold one above 0 for the loss clop, got 0"),
        ({"loss": ("clop", "clop")}, "loss must hold each value once, got clop,clop"),
        ({"loss": ("clpo",)}, "loss must be one of infonce, .*, clop, got 'clpo'"),
        ({"rate": (0.1, -1.0)}, "rate must be .*> 0"),
        ({"weight": (-1.0,)}, "weight must be"),
        ({"labelled": (1.5,)}, "labelled must be in"),
        ({"batch": (1,)}, "batch must be 0 or >= 2"),
        ({"seeds": 0}, "seeds must be"),
        (
            {"base": Training(precision="bfloat16")},
            "precision must be float32 or float64 in a sweep of mlps, got 'bfloat16'",
        ),
        ({"base": Training(compile=True)}, "compile must be off in a sweep, got True"),
    ],
)
def test_wrong_values_name_their_field(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSweep(**change)
