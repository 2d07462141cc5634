"""The closed forms of the zoo, T27 to T40, against a card, which knows none of them: a row for each loss and state.

At every row the card's levels with their numbers, its pull and all its critical rates are those of the theory, to 1e-8,
and its own simulation at 0.97 and 1.03 of every rate agrees. Learning rates are of the loss in its own reduction.
"""

import math
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch

from clopsim.audit.experiments import (
    anti_collapse,
    entropic_adversary,
    learned_balance,
    lorac,
    pauc,
    pseudo_labels,
    relaxed_penalty,
    simo,
    trimming,
    unhinged,
)
from clopsim.audit.ledger import CLAIMS
from clopsim.bounds import (
    Gradient,
    PaucSetting,
    class_critical_weight,
    class_loss,
    class_state,
    coding_weight,
    immune_weight,
    pauc_critical_weight,
    two_level_simplex,
)
from clopsim.cards import calculus, simulation, states
from clopsim.cards.spectrum import Spectrum
from clopsim.cards.subject import subject_of
from clopsim.cards.weights import critical_weights
from clopsim.losses import LOSSES
from tests.clopsim.cards.contrast_rows import classes, contrasts, merged, samples_apart
from tests.clopsim.cards.rows import Levels, Row, at, card_at, shape
from tests.clopsim.cards.zoo_rows import (
    coagulating,
    coagulating_with_prototypes,
    coding,
    guessed,
    linear,
    low_rank,
    means,
    opposed,
    orthogonal,
    penalised,
    trimmed,
)

REL = 1e-8

TIES = {"fedrcl": "its hardest pairs are ties where embeddings coincide, so it has a kink at every state here"}
"""Losses of cosines without a curvature at any of these states, and why. Noise alone (`noisy`) is no loss of LOSSES."""

SOURCES = (
    merged, contrasts, classes, samples_apart, guessed, penalised, means, coagulating, coagulating_with_prototypes,
    low_rank, orthogonal, coding,
    linear, trimmed, opposed,
)  # fmt: skip
ROWS = [row for rows in SOURCES for row in rows()]


def together(levels: Levels) -> Levels:
    """Rising, equal ones added up, without those of 0."""
    largest = max(abs(c) for c, _ in levels)
    found: list[tuple[float, int]] = []
    for c, count in sorted(level for level in levels if level[1] and abs(level[0]) > 1e-12 * largest):
        if found and math.isclose(c, found[-1][0], rel_tol=1e-9):
            found[-1] = (found[-1][0], found[-1][1] + count)
        else:
            found.append((c, count))
    return found


def expected_rate(c: float, pull: float, gradient: Gradient, *, even: bool) -> float | None:
    """T27, by hand: 2/(c + 2a) ambient and 2/c tangent, where it is positive to rounding; below 1/a with prototypes."""
    margin = c + 2 * pull if gradient == "ambient" else c
    if c < 0 and not even:
        return None
    return 2 / margin if margin > 1e-12 * (abs(c) + abs(pull)) else None


def assert_rates(row: Row, found: Spectrum, expected: Levels) -> None:
    """Every critical rate of a level that is known, and those of the theory's own functions."""
    criticals = found.criticals()
    for each in criticals:
        known = [c for c, _ in expected if each.curvature == pytest.approx(c, rel=REL)]
        if known and isinstance(row.pull, float):
            rate = expected_rate(known[0], row.pull, each.gradient, even=row.turns)
            assert (each.rate is None) is (rate is None), each
            assert rate is None or each.rate == pytest.approx(rate, rel=REL)
    for gradient, rate in row.rates:
        mine = [each.rate for each in criticals if each.gradient == gradient]
        if rate is None:
            assert found.kind == "saddle" or (found.kind == "maximum" and None in mine)
        else:
            assert any(one == pytest.approx(rate, rel=REL) for one in mine if one is not None)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_card_finds_what_the_theory_says(row):
    subject, found = card_at(row)
    assert found.has_ambient
    assert not found.trouble
    levels, expected = [tuple(level) for level in found.levels if level.curvature != 0], together(row.levels)
    if row.whole:
        assert [count for _, count in levels] == [count for _, count in expected]
        assert [c for c, _ in levels] == pytest.approx([c for c, _ in expected], rel=REL)
        assert found.turns + found.flat == len(found.hessian) - sum(count for _, count in expected)
    for c, count in expected:
        (there,) = (many for level, many in levels if level == pytest.approx(c, rel=REL))
        assert there >= count
    if row.pull is not None:
        pulls = row.pull if isinstance(row.pull, tuple) else (row.pull, row.pull)
        assert found.pulls == pytest.approx(pulls, rel=REL, abs=1e-12 * max(abs(c) for c, _ in levels))
    assert_rates(row, found, expected)
    for critical in found.criticals():
        checks = simulation.check(subject, found, critical)
        assert [check.at for check in checks] == ([] if critical.rate is None else [0.97, 1.03])
        assert all(check.agrees for check in checks), (critical, checks)


def test_no_loss_of_cosines_is_missing():
    cosine = {name for name, info in LOSSES.items() if info.cosine_only}
    assert {row.loss for row in ROWS} - {"merged"} == cosine - set(TIES)
    for name in TIES:
        subject = subject_of(name, **shape(6, 4, classes=3, tau=0.5))
        for place in (states.point, states.line, states.simplex):
            assert "kink" in at(subject, place(subject)).trouble or not at(subject, place(subject)).stationary


def test_two_level_simplices_are_stationary():
    """T37: no level of them is known; the card finds no gradient there, and one beside them."""
    K, m, d, tau = 2, 4, 7, 0.5
    for beta in (1.5, 4.0):
        loss = partial(LOSSES["fedrcl_dense"].loss, temperature=tau, beta=beta)
        subject = subject_of(loss, **shape(K * m // 2, d, classes=K))
        found = two_level_simplex(classes=K, per_class=m, temperature=tau, penalty=beta)
        assert found.within < 1
        same = subject.labels[:, None] == subject.labels
        for factor, stationary in ((1.0, True), (0.95, False)):
            r, s = factor * found.within, found.between
            gram = s + (r - s) * same.double() + (1 - r) * torch.eye(K * m, dtype=torch.float64)
            values, vectors = torch.linalg.eigh(gram)
            z = (vectors * values.clamp(min=0).sqrt())[:, -d:]
            residual = at(subject, calculus.unit(z)).residual
            assert (residual < 1e-10) is stationary


@pytest.mark.parametrize(
    "name, registered, given",
    (
        ("infonce", "nt_xent", {}),
        ("supcon", "supcon", {}),
        ("supcon_in", "supcon", {}),
        ("dcl", "dcl", {}),
        ("blcl", "blcl", {}),
        ("fedrcl_dense", "fedrcl", {"penalty": 1.0}),
        ("sscl", "sscl", {"confidence": 0.95}),
    ),
)
def test_critical_weights_of_classes_are_those_of_the_card(name, registered, given):
    """T29: lambda* and lambda_inf."""
    K, m, d, tau = 3, 4, 4, 0.5
    loss = class_loss(registered, classes=K, per_class=m, temperature=tau, **given)
    found = critical_weights(subject_of(name, **shape(K * m // 2, d, classes=K, tau=tau)), scale=0.1)
    expected = (class_critical_weight(loss, dimension=d), immune_weight(loss, dimension=d))
    assert (found.lambda_star, found.lambda_infinity) == pytest.approx(expected, rel=REL)


def test_critical_weights_of_pauc_and_of_the_coding_rate():
    """T34, T32; the ambient step of the coding rate is stable at every rate."""
    subject = subject_of("pauc", **shape(8, 5, classes=4, tau=0.5))
    expected = pauc_critical_weight(PaucSetting(4, 2, 0.5))
    assert expected > 0
    assert critical_weights(subject, scale=0.1).lambda_star == pytest.approx(expected, rel=REL)
    subject = subject_of("anti_collapse", **shape(4, 6, classes=4))
    assert critical_weights(subject, scale=0.1).lambda_star == pytest.approx(coding_weight(4, dimension=6), rel=REL)


def test_a_rate_that_is_only_rounding_is_none():
    """BLCL on a simplex: c + 2a of the classes' common move out of their span is 0, at every shape and temperature."""
    for (K, m, d), tau in product(((4, 2, 5), (3, 4, 4), (5, 2, 6)), (0.3, 0.5, 1.0)):
        subject = subject_of("blcl", **shape(K * m // 2, d, classes=K, tau=tau))
        state = class_state(class_loss("blcl", classes=K, per_class=m, temperature=tau), dimension=d)
        common = next(mode.curvature for mode in state.modes if mode.name == "common perpendicular")
        assert common + 2 * state.pull == pytest.approx(0, abs=1e-15)
        criticals = at(subject, states.simplex(subject)).criticals()
        (found,) = (one for one in criticals if one.curvature == pytest.approx(common / (K * m)) and one.why)
        assert (found.gradient, found.rate) == ("ambient", None)
        assert "stable at every rate" in found.why


def test_prototypes_see_that_a_step_turns_a_state_over():
    """A falling direction attracts beyond 1/a alone, where the state is turned over: with prototypes at no rate."""
    weak = next(
        row for row in ROWS if row.weight and isinstance(row.pull, float) and -2 * row.pull < min(row.levels)[0] < 0
    )
    _, found = card_at(weak)
    seen, blind = (
        next(each for each in state.criticals() if each.gradient == "ambient")
        for state in (found, replace(found, even=True))
    )
    assert blind.curvature == seen.curvature < 0
    assert blind.rate == pytest.approx(2 / (blind.curvature + 2 * found.pull))
    assert blind.rate > 1 / found.pull
    assert (seen.rate, seen.side) == (None, None)
    assert "turns the state over" in seen.why


BRACKETED = {
    "T31": simo.optimum_turns_at_its_rate,
    "T32": anti_collapse.frames_turn_at_their_rate,
    "T33": unhinged.prototype_limit,
    "T34": pauc.rates_at_point_and_simplex,
    "T35": lorac.line_threshold,
    "T36": learned_balance.simplex_while_the_balance_is_learned,
    "T37": relaxed_penalty.penalised_point_and_line_attract,
    "T38": pseudo_labels.guessed_views_part_at_their_rate,
    "T39": trimming.fixed_choices,
    "T40": entropic_adversary.adversarial_rates,
}
"""What simulates a rate of each theorem on both sides."""


def test_every_theorem_of_the_zoo_has_its_rate_simulated_on_both_sides():
    claims = {claim.identifier: claim for claim in CLAIMS}
    assert set(BRACKETED) == {
        name for name in claims if name.startswith("T") and 31 <= int(name[1:].rstrip("ab")) <= 40
    }
    for name, experiment in BRACKETED.items():
        assert experiment in claims[name].experiments
        found = experiment()
        assert found.holds
        answers = {at: {p for x, p in zip(found.x, found.predicted, strict=True) if x == at} for at in simulation.SIDES}
        assert all(answers.values())
        assert answers[0.97] != answers[1.03], name
