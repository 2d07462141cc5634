"""The record of a training sweep: every run once, wrong input refused before anything runs."""

import pytest

from clopsim.recipe import Training
from clopsim.recipes import AXES, TrainingSweep


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
        ({"loss": ("clop",)}, "loss must be a base loss, got 'clop'; CLOP is any of them with a weight above 0"),
        ({"loss": ("simclr",)}, "loss must be one of infonce, "),
        ({"rate": (0.1, -1.0)}, "rate must be .*> 0"),
        ({"weight": (-1.0,)}, "weight must be"),
        ({"labelled": (1.5,)}, "labelled must be in"),
        ({"batch": (1,)}, "batch must be 0 or >= 2"),
        ({"seeds": 0}, "seeds must be"),
        ({"base": Training(precision="bfloat16")}, "precision must be float32 or float64"),
        ({"base": Training(compile=True)}, "precision must be float32 or float64 without compile"),
    ],
)
def test_wrong_values_name_their_field(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSweep(**change)
