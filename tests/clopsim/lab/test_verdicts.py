"""The lab calls theory wrong only where it is: slow is not settled, two ends are two, and a false factor is noticed."""

import math
import time

import pytest

from tests.lab_settings import drive

BASE = {
    "x": 1.08,
    "tau": 0.5,
    "n": 60,
    "loss": "merged",
    "gradient": "ambient",
    "decay": 0,
    "lambda": 0,
    "dim": 3,
    "momentum": 0,
}


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays."""
    lab("() => { clopsim.pause(); clopsim.visit(null) }")
    return lab


def begin(here, start="uniform", **settings):
    here("([s]) => { clopsim.set(s); clopsim.reset() }", {**BASE, "start": start, "seed": 1, **settings})
    return here.state()


def on_a_line(here, spread=0.0):
    """All first views at one point, all second views opposite, or nearly so."""
    ends = [value for i in range(60) for value in ((1, 0, 0) if i < 30 else (-1, 0, 0))]
    here("([u, spread]) => clopsim.load(clopsim.physics.perturbed(Float64Array.from(u), spread))", ends, spread)


def words(here):
    return here.page.locator("#words").text_content()


def test_a_collapse_that_is_set_free_leaves_and_is_never_called_wrong(here):
    """Stop 3's exercise: lower the rate to 0.97 mu_c; growth would start from rounding and take hundreds of steps."""
    here("clopsim.visit(2)")
    here("clopsim.step(200)")
    assert here.state()["state"] == "point"
    here("clopsim.set({x: 0.97})")
    state = here.state()
    assert state["kind"] == "leaving"
    assert state["verdict"] == "on its way"
    assert (
        words(here)
        == f"all points on one spot, leaving: about {state['stepsToGo']} steps to go, set apart by 1° to show it."
    )
    assert not state["settled"]
    told, left = state["stepsToGo"], None
    for count in range(400):
        here("clopsim.step(1)")
        state = here.state()
        assert state["verdict"] != "not as predicted"
        if left is None and state["R"] < 0.995:  # a spread of 0.1 radians
            left = count + 1
    assert left == pytest.approx(told, rel=0.15)
    assert (state["kind"], state["state"]) == ("predicted", "between")


def test_a_page_does_not_pause_while_a_state_is_being_left(visit):
    here = visit("#stop=3&x=0.985&speed=512&start=collapse", reduced_motion="no-preference")
    began = here("""() => {
        clopsim.load(clopsim.physics.perturbed(Float64Array.from({ length: 180 }, (_, k) => +(k % 3 === 0)), 1e-7));
        clopsim.play();
        return clopsim.state;
    }""")
    seen, deadline = [began], time.monotonic() + 60
    while seen[-1]["kind"] in ("leaving", "arriving"):  # it opens to a small cluster, which may count as a spot still
        assert seen[-1]["playing"]
        assert time.monotonic() < deadline
        seen.append(here.state())
    assert seen[0]["kind"] == "leaving"
    assert seen[-1]["kind"] == "predicted"


def test_growth_from_rounding_is_waited_for(here):
    state = begin(here, x=0.97)
    here("([u]) => clopsim.load(u)", [float(k % 3 == 0) for k in range(180)])
    here("clopsim.step(60)")
    state = here.state()
    growth = abs((1 + 2 * state["rate"] / 0.5 / 59) / (1 - 2 * state["rate"] / 0.5))  # T4
    assert (state["state"], state["kind"]) == ("point", "leaving")
    assert state["stepsToGo"] <= math.log(0.1 / 1e-16) / math.log(growth) + 1


def test_only_a_hidden_collapse_is_loosened(here):
    for x in (1.5, 1.02):  # it attracts at both: the points stay where they are
        begin(here, "collapse", x=1.2)
        here("clopsim.step(100)")
        before = here.state()["u"]
        here("([x]) => clopsim.set({x})", x)
        assert here.state()["u"] == before
    begin(here, "collapse", x=0.97)
    before = here.state()["u"]
    here("clopsim.set({x: 0.9})")  # it was not held before either
    assert here.state()["u"] == before


@pytest.mark.parametrize("start, state", [("uniform", "even"), ("collapse", "point")])
def test_where_the_spread_and_the_point_both_attract_the_start_decides(here, start, state):
    begin(here, start, tau=2, x=1.04)
    thresholds = here.state()["thresholds"]
    assert thresholds["collapse"] < here.state()["rate"] < thresholds["uniform"]
    here("clopsim.step(1000)")
    found = here.state()
    assert found["prediction"]["phase"] == "either"
    assert (found["state"], found["kind"], found["verdict"]) == (state, "bistable", "as predicted")
    assert here.page.locator("#badge").text_content() == "✓ As predicted, one of two ends"
    assert (
        here.page.locator("#theory")
        .text_content()
        .startswith("The even spread is stable (T5), and complete collapse attracts too (T4)")
    )
    assert "region either" in here("[...document.querySelectorAll('#regions .region')].map((r) => r.className)")


def test_between_the_line_s_rate_and_the_alignment_rate_both_ends_are_as_predicted(here):
    state = begin(here, "views", loss="full", tau=1)
    line, unit = state["thresholds"]["line"], state["thresholds"]["unit"]
    for load, expected in ((False, "even"), (True, "line")):
        begin(here, "views", loss="full", tau=1, x=1.05 * line / unit)
        if load:
            on_a_line(here, 1e-3)
        here("clopsim.step(400)")
        assert (here.state()["state"], here.state()["kind"]) == (expected, "bistable")
    here("([x]) => clopsim.set({x})", 0.9 * line / unit)  # it lets go, visibly
    assert here.state()["kind"] == "leaving"
    here("clopsim.step(400)")
    assert here.state()["kind"] != "not-predicted"
    assert here.state()["state"] != "line"


def test_where_n_is_too_small_to_tell_that_is_the_verdict(here):
    begin(here, "views", loss="full", tau=0.05, x=0.6)
    here("clopsim.step(200)")
    state = here.state()
    assert (state["kind"], state["verdict"]) == ("too-small", "no prediction")
    assert state["thresholds"]["tooSmall"]["alignment"]
    assert words(here).endswith(": n is too small to tell (T13).")


def test_a_diverged_run_is_judged_after_silence(here):
    begin(here, gradient="free", decay=0.5, tau=2, x=16, loss="full")  # rate times decay above 1
    here("clopsim.step(2000)")
    state = here.state()
    assert state["prediction"]["phase"] == "silent"
    assert (state["kind"], state["verdict"]) == ("silent", "no prediction")


def test_a_point_sent_to_the_origin_stops_the_run_and_is_no_verdict_on_theory(here):
    begin(here, x=0.5 * 16 / 17, n=18)
    here("([u]) => clopsim.load(u)", [float(k % 3 == 0) for k in range(54)])
    here("clopsim.step(1)")
    assert (here.state()["state"], here.state()["kind"]) == ("diverged", "diverged")


@pytest.mark.parametrize("tau, x, weight", [(0.5, 4, 0.3), (1, 8, 0.25)])
def test_beside_a_spot_that_weak_prototypes_do_not_open(here, tau, x, weight):
    begin(here, "collapse", tau=tau, x=x, **{"lambda": weight})
    here("clopsim.step(300)")
    state = here.state()
    assert "T16" in here.page.locator("#theory").text_content()
    assert state["R"] > 0.9
    assert state["verdict"] == "as predicted"


def test_rest_on_a_line_is_no_verdict_on_the_theory_of_the_spot(here):
    """Every gradient vanishes on a line (T1): a run put there exactly stays, whatever attracts elsewhere."""
    begin(here, tau=1)
    here("([u]) => clopsim.load(u)", [v for i in range(60) for v in ((1, 0, 0) if i % 2 else (-1, 0, 0))])
    here("clopsim.step(2000)")
    assert (here.state()["state"], here.state()["kind"]) == ("line", "elsewhere")
    assert words(here) == "all points on one line, where every gradient vanishes (T1)."


def test_views_that_agree_do_not_swap(here):
    begin(here, "views", loss="full", gradient="tangent", x=0.8)
    here("clopsim.step(60)")
    assert here.state()["motion"] == "oscillating"
    assert words(here) == "evenly spread, views at cosine 0.61, swapping."
    begin(here, loss="full", x=2, network="on")  # all outputs go back and forth, the two views of a sample together
    here("clopsim.step(300)")
    assert here.state()["motion"] == "oscillating"
    assert words(here) == "evenly spread, views at cosine 1.00, back and forth."
    here("clopsim.set({network: 'off'})")


def test_opposite_views_on_several_lines_are_not_on_the_line_of_t12(here):
    """T12 of the three samples of each line: they leave it at this rate, at which all 18 on one line would stay."""
    begin(here, loss="full", tau=0.05408, n=36, x=1.13)
    golden = (1 + math.sqrt(5)) / 2
    axes = [(0, 1, golden), (1, golden, 0), (golden, 0, 1), (0, 1, -golden), (1, -golden, 0), (-golden, 0, 1)]
    ends = [side * x for side in (1, -1) for i in range(18) for x in axes[i % 6]]  # three samples to a line
    here("([u]) => clopsim.load(clopsim.physics.perturbed(Float64Array.from(u), 1e-6))", ends)
    for _ in range(16):
        here("clopsim.step(5)")
        assert here.state()["kind"] != "not-predicted"
    assert here.state()["view"] > -1 + 1e-6  # it has left, from 1e-12


FALSIFY = """([which, factor]) => {
    const { theory, stability } = clopsim, at = (s) => ({ ...s, rate: s.rate / factor });
    window.truth = { thresholds: theory.thresholds, ...stability };
    const { thresholds, collapse, line, uniform } = window.truth;
    theory.thresholds = (s) => { const th = thresholds(s); return { ...th, [which]: th[which] * factor }; };
    if (which === "collapse") stability.collapse = (s) => collapse(at(s));
    if (which === "line") stability.line = (s) => line(at(s));
    if (which === "uniform") stability.uniform = (s) => ({ ...uniform(s), ripple: uniform(at(s)).ripple });
    if (which === "alignment") stability.uniform = (s) => ({ ...uniform(s), views: uniform(at(s)).views });
}"""
RESTORE = """() => {
    const { thresholds, ...factors } = window.truth;
    clopsim.theory.thresholds = thresholds;
    Object.assign(clopsim.stability, factors);
}"""


@pytest.mark.parametrize(
    "which, factor, start, settings",
    [
        ("collapse", 0.95, "collapse", {}),
        ("collapse", 1.05, "collapse", {}),
        ("collapse", 1.05, "collapse", {"momentum": 0.4}),
        ("line", 0.95, "line", {"loss": "full"}),
        ("line", 1.05, "line", {"loss": "full"}),
        ("line", 0.95, "line", {"loss": "adt"}),
        ("line", 1.05, "line", {"loss": "adt"}),
        ("uniform", 1.12, "uniform", {"n": 200}),
        ("alignment", 0.88, "views", {"loss": "full", "tau": 1, "n": 200}),
    ],
)
def test_a_theory_that_is_a_few_percent_off_is_called_wrong(here, which, factor, start, settings):
    """Half way between the true rate and the false one. T5's rates are held to 3 % only, so they are 12 % off here."""
    state = begin(here, "random" if start == "line" else start, **settings)
    x = state["thresholds"][which] * (1 + factor) / 2 / state["thresholds"]["unit"]
    kinds = []
    for false in (False, True):
        if false:
            here(FALSIFY, which, factor)
        try:
            begin(here, "random" if start == "line" else start, **settings, x=x)
            if start == "line":
                on_a_line(here, 1e-3)
            kinds.append(set())
            for _ in range(130):
                here("clopsim.step(20)")
                kinds[-1].add(here.state()["kind"])
                if "not-predicted" in kinds[-1]:
                    break
        finally:
            if false:
                here(RESTORE)
    assert "not-predicted" not in kinds[0]
    assert "not-predicted" in kinds[1]
    assert here.page.locator("#badge").text_content() == "✕ Not as predicted"
    assert "though" in words(here)


def test_settings_drawn_at_random_are_never_called_wrong_without_cause(here):
    """A short form of python -m tests.lab_settings 1500."""
    kinds, wrong = drive(here, 60, first=0, steps=300)
    assert wrong == []
    assert kinds["predicted"] > sum(kinds.values()) / 2
