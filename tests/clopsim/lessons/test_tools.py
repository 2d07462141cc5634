"""What the notebooks call: runs that agree with the simulator, a prediction, a slider with ipywidgets and without."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from clopsim.audit.breaking import display
from clopsim.bounds import Setting, class_equilibrium, exact_rate, spread_multiplier, stationarity
from clopsim.lessons.tools import commit, growth, proof, runs, slide, spheres
from clopsim.losses import OrthonormalPrototypes
from clopsim.show.plots import Picture
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step

SETTING = Setting(0.5, 8, 32)
FLAT = Setting(0.5, 3, 12)


def test_a_prediction_is_the_number_or_nan_for_the_dots(capsys):
    assert commit(1.5) == 1.5
    assert capsys.readouterr().out == "Noted: 1.5. Run on to see.\n"
    assert math.isnan(commit(...))
    assert "No prediction yet" in capsys.readouterr().out
    assert commit(np.float32(2)) == 2.0


@pytest.mark.parametrize("wrong", ["1.5", True, None, [1.0], 1j])
def test_a_prediction_that_is_no_number_is_refused(wrong):
    with pytest.raises(ValueError, match="^prediction must be a number, got "):
        commit(wrong)


def test_runs_are_those_of_the_simulator():
    found = runs(SETTING, [0.1, 0.7], steps=1, seeds=2)
    assert found.rates.tolist() == [0.1, 0.1, 0.7, 0.7]
    for k, (rate, seed) in enumerate(((0.1, 0), (0.1, 1), (0.7, 0), (0.7, 1))):
        after = step(starts.random_directions(SETTING, seed=seed), rate, 0.5, SETTING)
        torch.testing.assert_close(found.z[k], after)
        assert found.R[k] == pytest.approx(float(after.mean(dim=0).norm()))


def test_prototypes_hold_the_classes_where_theory_says():
    weights = np.array([6.0, 16.0])
    found = runs(SETTING, 0.5 / weights, steps=1500, weights=weights, classes=4)
    for cosine, rank, angle, weight in zip(found.cosine, found.rank, found.angle, weights, strict=True):
        state = class_equilibrium(weight, classes=4, per_class=8, temperature=0.5, dimension=8)
        assert cosine == pytest.approx(state.cosine, abs=1e-6)
        assert rank == pytest.approx(state.effective_rank, rel=1e-6)
        assert angle == pytest.approx(math.degrees(state.angle), rel=1e-5)
        assert class_equilibrium(1.03 * weight, classes=4, per_class=8, temperature=0.5, dimension=8).cosine != (
            pytest.approx(cosine, abs=1e-6)
        )


def test_the_angle_is_the_largest_to_the_own_prototype():
    found = runs(FLAT, [0.1, 0.1], steps=0, weights=1.0, classes=3)
    own = OrthonormalPrototypes(3, 3, seed=1, dtype=torch.float64).vectors  # those that the lessons draw
    angles = [math.degrees(math.acos(float(row @ own[k % 3]))) for k, row in enumerate(found.z[0])]
    assert max(angles) > 2 * min(angles)
    assert found.angle == pytest.approx([max(angles)] * 2)


def test_a_start_near_collapse_is_about_a_thousandth_of_a_radian_from_it():
    z = runs(Setting(0.5, 3, 30), 0.1, steps=0, start="collapse").z[0]
    assert 0.5e-3 < float((z - z.mean(dim=0)).norm(dim=1).mean()) < 1.5e-3


@pytest.mark.parametrize("factor", [0.2, 0.6, 0.97, 1.03, 1.5])
def test_growth_is_t4s_factor_with_its_sign(factor):
    rate = factor * float(exact_rate(SETTING))
    predicted = float(spread_multiplier(rate, SETTING))
    assert growth(SETTING, rate) == pytest.approx(predicted, rel=1e-4)
    assert (growth(SETTING, rate) < -1) == (0.5 < factor < 1)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"start": "line"}, "start must be one of random, collapse, got 'line'"),
        ({"weights": 8.0}, "classes must be >= 2 with prototypes, got 0"),
        ({"weights": -1.0, "classes": 4}, "weights must be >= 0, got -1.0"),
        ({"weights": float("nan"), "classes": 4}, "weights must be >= 0, got nan"),
        ({"seeds": 0}, "seeds must be "),
        ({"steps": -1}, "steps must be "),
    ],
)
def test_wrong_runs(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        runs(SETTING, 0.5, **{"steps": 1} | options)


def test_spheres_draw_every_run():
    picture = spheres(runs(FLAT, [0.1, 0.2], steps=2, weights=1.0, classes=3), ["a", "b"])
    assert [axes.get_title() for axes in picture.axes] == ["a", "b"]
    assert all(len(axes.collections) == 1 + 3 for axes in picture.axes)  # the wires and three classes
    assert all(len(axes.lines) == 3 for axes in picture.axes)
    with pytest.raises(ValueError, match="^titles must be as many as runs, got 1 for 2 runs"):
        spheres(runs(FLAT, [0.1, 0.2], steps=0), ["a"])
    with pytest.raises(ValueError, match="^spheres must have 3 dimensions, got 8"):
        spheres(runs(SETTING, 0.1, steps=0), ["a"])


def test_without_widgets_the_slider_is_the_first_the_middle_and_the_last(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    shown: list[tuple] = []
    monkeypatch.setattr("IPython.display.display", lambda picture: shown.append(picture))
    slide(lambda *values: values, [1, 2, 3, 4, 5], name="n")
    assert shown == [(1, 3, 5)]
    assert capsys.readouterr().out == 'For a slider over n: pip install "clopsim[lessons]"\n'


def test_with_widgets_it_draws_the_value_that_is_chosen(monkeypatch):
    found = {}
    widgets = SimpleNamespace(
        SelectionSlider=lambda **options: options, interact=lambda draw, value: found.update(draw=draw, slider=value)
    )
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    slide(lambda *values: values, [0.5, 1.0, 1.5], name="rate")
    assert found["slider"]["options"] == [("0.5", 0.5), ("1", 1.0), ("1.5", 1.5)]
    assert (found["slider"]["value"], found["slider"]["description"]) == (1.0, "rate")
    assert found["draw"](1.5) == (1.5,)


def test_a_proof_is_a_list_of_its_steps():
    text = proof("stationarity").data
    assert text.count("<li>") == 4
    assert text.count("<div class='formula'") == 3
    for line in stationarity.derive().steps:
        assert line.formula is None or display(line.formula, line.left) in text
    assert isinstance(spheres(runs(FLAT, 0.1, steps=0), ["a"]), Picture)
