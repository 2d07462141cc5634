"""What a stranger sees first: the same points below and above the line, and what gathers said in words."""

import math
import re

import pytest


def test_untouched_it_shows_both_sides_of_the_line_and_rests(visit):
    here = visit()
    states = here("clopsim.states")
    assert [state["playing"] for state in states] == [True, True]
    assert here("clopsim.states.every(({rate}, k) => rate === [0.9, 1.1][k] * clopsim.state.thresholds.unit)")
    here.until("clopsim.state.count >= 2")
    here("clopsim.set({speed: 300})")
    here.until("!clopsim.state.playing")
    below, above = here("clopsim.states")
    assert (below["state"], below["verdict"]) == ("even", "as predicted")
    assert (above["state"], above["verdict"]) == ("point", "as predicted")
    assert below["count"] == above["count"]
    assert below["R"] < 0.02
    assert above["R"] > 0.99
    assert here.page.locator("#caption-0").text_content() == "Below: stays spread"
    assert here.page.locator("#caption-1").text_content() == "Above: falls onto one point"
    assert "1.322 is computed from the temperature τ = 1.3" in here.page.locator("#line").text_content()
    here.until("document.getElementById('sphere-1').getAttribute('aria-label').endsWith('; 60 points here')")
    assert "points here" not in here.page.locator("#sphere").get_attribute("aria-label")
    assert here.page.locator("#now-R .run-1").text_content() == "1.000"
    assert "now 0.00" in here.page.locator("#plot-R").get_attribute("aria-label")


def test_within_three_seconds_of_opening_both_verdicts_stand_and_until_then_none_sounds_wrong(visit):
    here = visit(reduced_motion="reduce")
    verdicts = "[clopsim.states.map(({ verdict }) => verdict), document.querySelector('.say').textContent]"
    seconds = 3
    for step in range(1, 40):
        here("clopsim.step(1)")
        found, said = here(verdicts)
        assert found == ["as predicted"] * 2 or step < seconds * here.state()["settings"]["speed"]
        assert set(found) <= {"as predicted", "on its way"}
        assert ("still moving" in said) or step > 3
        assert "restless" not in said
        assert not re.search(r"about (0|[-−])", said)  # steps to go
        assert "✕" not in said


def test_within_fifteen_steps_a_stranger_sees_the_difference(visit):
    here = visit(reduced_motion="reduce")
    assert here("clopsim.states[0].u.join() === clopsim.states[1].u.join()")
    here("clopsim.step(15)")
    below, above = here("clopsim.states")
    assert below["R"] < 0.02
    assert (above["state"], above["verdict"]) == ("point", "as predicted")
    here.page.locator("#x").fill("-1")  # the slider moves both
    unit = below["thresholds"]["unit"]
    assert [state["rate"] for state in here("clopsim.states")] == pytest.approx([0.45 * unit, 0.55 * unit])
    assert here("clopsim.states.map(({count}) => count)") == [15, 15]
    assert here.page.locator("#caption-1").text_content() == "Below: stays spread"
    here.page.click("#reset")
    assert here("clopsim.states[0].u.join() === clopsim.states[1].u.join()")
    assert here.state()["count"] == 0


@pytest.mark.parametrize("k, factor", [(0, 0.9), (1, 1.1)])
def test_a_visitor_takes_over_either_run_where_it_is(visit, k, factor):
    here = visit(reduced_motion="reduce")
    here("clopsim.step(6)")
    taken = here("clopsim.states")[k]
    here.page.click(f"#take-{k}")
    state = here.state()
    assert (state["settings"]["view"], state["count"], state["u"]) == ("one", 6, taken["u"])
    assert state["settings"]["x"] == pytest.approx(factor)
    assert here("document.activeElement.id") == "x"
    assert here.page.locator("#sphere").is_visible()
    assert here.page.locator("#sphere-1").is_hidden()
    assert here.page.locator("#line").is_hidden()
    here.until("location.hash.includes('view=one')")
    here.page.click("#compare")
    here.page.click("#play")
    assert len(here("clopsim.states")) == 2
    here.until("location.hash.includes('view=pair')")


def test_a_link_to_a_pair_opens_one_and_a_stop_of_the_tour_leaves_it(visit):
    here = visit("#view=pair&tau=0.5&x=0.5", reduced_motion="reduce")
    assert len(here("clopsim.states")) == 2
    assert here.state()["settings"]["tau"] == 0.5
    here.page.locator("#stops button").nth(2).click()
    assert len(here("clopsim.states")) == 1
    assert visit("#view=three", reduced_motion="reduce").state()["settings"]["view"] == "pair"  # nonsense says nothing


def test_groups_are_counted_and_a_ring_is_none(lab):
    def at(angle, turn):
        return [math.cos(angle), math.sin(angle) * math.cos(turn), math.sin(angle) * math.sin(turn)]

    def words(points):
        z = [value for point in points for value in point]
        return lab("([z, n]) => clopsim.gathering.find(Float64Array.from(z), n).words", z, len(points))

    turns = [2 * math.pi * k / 30 for k in range(30)]
    assert words([at(0.03, turn) for turn in turns]) == ["30 points here"]
    assert words([at(0.03 if k % 3 else math.pi - 0.03, turn) for k, turn in enumerate(turns)]) == [
        "20 points here",
        "10 points here",
    ]
    assert words([at(0.4, turn) for turn in turns]) == ["a ring, 23° about the mean"]
    three = [value for k in range(30) for value in at(0.4, 0.3 * (k // 3) + 2.1 * (k % 3))]  # gaps of a right angle
    assert lab("([z]) => clopsim.gathering.ring(z, 30)", three) is not None
    three = [value for k in range(30) for value in at(0.4, 0.03 * (k // 3) + 2.1 * (k % 3))]  # three places
    assert lab("([z]) => clopsim.gathering.ring(z, 30)", three) is None
    lab("clopsim.set({start: 'uniform', n: 60}); clopsim.reset()")
    assert lab("clopsim.gathering.find(Float64Array.from(clopsim.state.u), 60).words") == []


def test_the_ring_below_the_collapse_rate_is_named(lab):
    lab("clopsim.set({tau: 1, x: 0.9, start: 'collapse', loss: 'merged', gradient: 'ambient', lambda: 0, n: 60})")
    lab("clopsim.reset(); clopsim.step(300)")
    radius = math.degrees(math.acos(lab.state()["R"]))
    lab.until("document.getElementById('sphere').getAttribute('aria-label').includes('ring')")
    said = lab.page.locator("#sphere").get_attribute("aria-label")
    assert said.endswith(f"; a ring, {radius:.0f}° about the mean")


@pytest.mark.parametrize("settings, said, sides", [
    ("momentum=0.5&x=1", "β²", ("Below", "Below")),
    ("momentum=0.5&x=2", "β²", ("Above", "Above")),
    ("loss=full&gradient=tangent&x=0.8", "attracts at no rate here. The lines (views part above", ("Slower", "Faster")),
    ("network=on&x=1", "2(1 + β)/sharpness", ("Slower", "Faster")),
])  # fmt: skip
def test_the_line_between_two_runs_is_the_one_that_holds_there(visit, settings, said, sides):
    here = visit(f"?hide=map#view=pair&{settings}", reduced_motion="reduce")
    assert said in here.page.locator("#line").text_content()
    captions = [here.page.locator(f"#caption-{k}").text_content() for k in (0, 1)]
    assert tuple(caption.split(":")[0] for caption in captions) == sides
    assert captions == list(sides) or "network" not in settings  # nothing is predicted of the outputs of a network
    state = here.state()
    if "momentum" in settings:
        assert "1 = μc of plain steps = τ(n" in here.page.locator("#thresholds").text_content()
        assert f"= {state['thresholds']['collapse']:.4g} is" in here.page.locator("#line").text_content()
        rates = [state["rate"] for state in here("clopsim.states")]
        above = ["Above" if rate >= state["thresholds"]["collapse"] else "Below" for rate in rates]
        assert above == list(sides)
        assert here.page.locator("#factor-1").text_content() == f"μ = {rates[1]:.3g}"


def test_the_diamond_of_a_network_parts_the_track(visit):
    here = visit("?hide=map#network=on&x=2", reduced_motion="reduce")
    here("clopsim.step(100)")
    left = float(here("document.getElementById('effective').style.left").rstrip("%"))
    widths = here("[...document.querySelectorAll('#regions .region')].map((node) => parseFloat(node.style.width))")
    assert widths == pytest.approx([left, 100 - left])
    edge = 2 ** (8 * left / 100 - 4) * here.state()["thresholds"]["unit"]
    assert here.page.locator("#now-edge").text_content() == f"{edge:.3f}"
