"""The judge of the judges: it changes what it says it changes, and tells who noticed."""

import os

import pytest

from clopsim.bounds import Setting, together_curvature
from clopsim.bounds.curvature import derive
from tests import mutate

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants live in forked processes"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

SETTING = Setting(0.5, 8, 16)


def of(function, change):
    (found,) = [m for m in mutate.mutants("curvature") if m.function == function and change in m.change]
    return found


def test_every_kind_of_change_is_made():
    changes = [mutant.change for module in ("collapse", "curvature", "setting") for mutant in mutate.mutants(module)]
    for kind in ("1.05 * (", "sign of (", "minus dropped in (", "2 -> 2.1 in (", "other branch of ("):
        assert any(change.startswith(kind) for change in changes), kind
    assert len(set(changes)) > 40


def test_proofs_and_rules_about_the_input_are_left_alone():
    found = [str(mutant) for mutant in mutate.mutants("curvature")]
    assert not any("derive" in one or "_closed_forms" in one or "setting.loss != " in one for one in found)


@pytest.mark.parametrize("change", ("1.05 * (", "2 -> 2.1 in (-2", "minus dropped", "other branch of (n if"))
def test_a_change_is_in_force_in_the_child_alone(change):
    before = together_curvature(SETTING)
    mutant = of("together_curvature", change)
    mean = Setting(0.5, 8, 16, reduction="mean")
    right = [together_curvature(one) for one in (SETTING, mean)]
    blind = ("blind", mutant, lambda: False)
    sees = ("sees", mutant, lambda: [together_curvature(one) for one in (SETTING, mean)] != right)
    broken = ("broken", mutant, lambda: 1 / 0)
    answers = {key: answer for key, _, answer in mutate.in_children([blind, sees, broken], jobs=2)}
    assert answers == {"blind": "missed", "sees": "noticed", "broken": "noticed"}
    assert together_curvature(SETTING) == before


def test_verify_notices_each_change_of_t2():
    """The slip that once passed everything: the curvature wrong for the merged loss only."""
    derivation = derive()
    questions = [(None, mutant, lambda: bool(derivation.disagreements())) for mutant in mutate.mutants("curvature")]
    assert {answer for *_, answer in mutate.in_children(questions, jobs=2)} == {"noticed"}
    assert len(questions) > 8
