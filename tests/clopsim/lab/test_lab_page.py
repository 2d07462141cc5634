"""The lab as its user meets it: untouched, by mouse, touch and keyboard, from a link, small, dark, without motion."""

import math
import re

import pytest

from clopsim.lab import assemble

DEFAULTS = {
    "view": "one", "x": 1.08, "tau": 0.5, "n": 60, "loss": "merged", "gradient": "ambient", "decay": 0, "lambda": 0,
    "classes": 3, "prototypes": "orthonormal", "dim": 3, "network": "off", "momentum": 0,
    "start": "uniform", "seed": 1, "speed": 6,
}  # fmt: skip

ASCENT = " Each step goes up the slope of the loss: {} at this rate is maximisation (T11)."


def quiet(visit, hash="", **options):
    """A new page on which nothing plays."""
    return visit(hash, reduced_motion="reduce", **options)


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays, as it is on load."""
    lab("([s]) => { clopsim.pause(); clopsim.visit(null); clopsim.set(s); clopsim.reset() }", DEFAULTS)
    return lab


def slide(here, name, value):
    here.page.locator(f"#{name}").fill(str(value))


def test_just_above_the_bound_it_plays_one_collapse_and_then_rests(visit):
    here = visit("#x=1.08")
    assert here.state()["settings"]["x"] == 1.08
    assert here.state()["playing"]
    here.until("clopsim.state.count >= 2")
    slide(here, "speed", 9)  # the rest quickly
    here.until("!clopsim.state.playing")
    state = here.state()
    assert (state["state"], state["verdict"]) == ("point", "as predicted")
    assert (
        here.page.locator("#theory").text_content()
        == "Complete collapse attracts: the points should end on one spot (T4), unless a line catches them first (T5)."
        + ASCENT.format("collapse")
    )
    assert here.page.locator("#observed").text_content().strip() == "✓ As predicted all points on one spot."
    slide(here, "x", -2)  # touched again, it moves again
    here.until("clopsim.state.state === 'even'")
    here.until("clopsim.state.verdict === 'as predicted'")


def test_the_learning_rate_never_resets_the_run_nor_do_the_other_forces(here):
    here("clopsim.step(7)")
    before = here.state()["u"]
    here.page.locator("#x").focus()
    here.page.keyboard.press("ArrowRight")
    state = here.state()
    assert state["settings"]["x"] == pytest.approx(1.08 * 2**0.01, rel=0.005)
    assert (state["count"], state["u"]) == (7, before)
    slide(here, "x", -3)
    slide(here, "tau", 70)
    slide(here, "lambda", 5)
    here.page.select_option("#loss", "full")
    here.page.select_option("#gradient", "free")
    slide(here, "decay", 0.2)
    slide(here, "speed", 4)
    state = here.state()
    wanted = {"x": 0.125, "lambda": 5, "loss": "full", "gradient": "free", "decay": 0.2, "speed": 16}
    assert wanted.items() <= state["settings"].items()
    assert state["settings"]["tau"] == pytest.approx(0.05 * 40**0.7, rel=0.01)
    assert (state["count"], state["u"]) == (7, before)
    here("clopsim.step(3)")
    norms = [sum(x * x for x in here.state()["u"][k : k + 3]) for k in range(0, 9, 3)]
    assert max(abs(norm - 1) for norm in norms) > 1e-3
    here.page.select_option("#gradient", "tangent")  # back on the sphere, at the same directions
    norms = [sum(x * x for x in here.state()["u"][k : k + 3]) for k in range(0, 9, 3)]
    assert norms == pytest.approx([1, 1, 1])
    assert here.state()["count"] == 10


def test_points_start_and_seed_begin_anew(here):
    starts = [here.state()["u"]]
    for act in (
        lambda: slide(here, "n", 200),
        lambda: here.page.select_option("#start", "random"),
        lambda: here.page.select_option("#start", "views"),
        lambda: here.page.select_option("#start", "collapse"),
        lambda: (here.page.locator("#seed").fill("5"), here.page.locator("#seed").press("Enter")),
        lambda: here.page.click("#reseed"),
    ):
        here("clopsim.step(2)")
        act()
        assert here.state()["count"] == 0
        starts.append(here.state()["u"])
    assert len({tuple(u) for u in starts}) == len(starts)
    assert len(starts[-1]) == 600
    assert here.state()["settings"]["seed"] == 6


def test_play_step_reset_by_button_and_key(visit):
    here = visit("#speed=1")  # slow: it must not come to rest by itself meanwhile
    here.page.click("#play")
    assert not here.state()["playing"]
    count = here.state()["count"]
    here.page.click("#step")
    assert here.state()["count"] == count + 1
    here.page.locator("#sphere").focus()
    for key, check in (
        (".", lambda: here.state()["count"] == count + 2),
        ("r", lambda: here.state()["count"] == 0),
        (" ", lambda: here.state()["playing"]),
        (" ", lambda: not here.state()["playing"]),
    ):
        here.page.keyboard.press(key)
        assert check(), key
    here.page.click("#reset")
    assert here.state()["count"] == 0


def test_the_run_does_not_depend_on_frames(visit):
    one, other = quiet(visit, "#n=200&x=0.4"), quiet(visit, "#n=200&x=0.4", viewport={"width": 400, "height": 700})
    one("clopsim.step(40)")
    for _ in range(8):
        other("clopsim.step(5)")
        other.page.evaluate("new Promise(requestAnimationFrame)")
    assert one.state()["u"] == other.state()["u"]


def test_the_address_holds_the_settings_and_survives_nonsense(visit):
    here = quiet(visit)
    wanted = {
        "view": "one", "x": 0.3, "tau": 0.21, "n": 44, "loss": "full", "gradient": "free",
        "decay": 0.125, "lambda": 2.5, "classes": 5, "prototypes": "simplex", "dim": 9, "network": "on",
        "momentum": 0.35,
        "start": "views", "seed": 12, "speed": 33,
    }  # fmt: skip
    here("([s]) => clopsim.set(s)", wanted)
    here.until("location.hash.includes('seed=12')")
    address = here("location.hash")
    again = quiet(visit, address)
    assert again.state()["settings"] == wanted
    assert again.state()["u"] == here.state()["u"]
    assert again.page.locator("#loss").input_value() == "full"
    assert again.page.locator("#n-value").text_content() == "44"
    nonsense = quiet(
        visit, "#v=9&x=1e9&tau=-3&n=56.2&loss=<b>&gradient=&decay=NaN&lambda=Infinity&seed=&wibble=1&start=views"
    )
    assert nonsense.state()["settings"] == {
        **DEFAULTS, "x": 16, "tau": 0.05, "n": 56, "start": "views",
    }  # fmt: skip
    nonsense("location.hash = '#x=0.5&n=20'")  # a new link in the same tab opens what it opens in a new one
    nonsense.until("clopsim.state.settings.n === 20")
    assert nonsense.state()["settings"] == {**DEFAULTS, "x": 0.5, "n": 20}
    nonsense("clopsim.set({x: 2}); location.hash = '#x=0.25&n=30'")  # and one before the address has followed a control
    nonsense.until("clopsim.state.settings.n === 30")
    nonsense.page.wait_for_timeout(300)
    assert nonsense.state()["settings"]["x"] == 0.25


def test_a_link_can_open_a_stop_of_the_tour(visit):
    here = quiet(visit, "#stop=6&lambda=3")
    assert here.page.locator("#card-title").text_content() == "Prototypes (T6–T8)"
    assert {"lambda": 3, "x": 2, "start": "collapse"}.items() <= here.state()["settings"].items()
    here.until("location.hash.includes('stop=6')")
    here.page.click("#card-close")
    here.until("!location.hash.includes('stop')")
    for stop in ("0", "8", "x", "1.5", ""):
        assert quiet(visit, f"#stop={stop}").page.locator("#card").is_hidden()


STOPS = [  # what each preset shows when it is left alone: steps, outcome, and the theorems in the title
    ("T1, T2", 200, "even"), ("T3", 1, "between"), ("T4", 200, "point"),
    ("T5", 200, "between"), ("T5, T10", 60, "even"), ("T6–T8", 60, "between"),
    ("T8, T9, T18", 200, "between"),
]  # fmt: skip


@pytest.mark.parametrize("stop", range(7))
def test_every_stop_of_the_tour_shows_what_its_theorem_predicts(here, stop):
    theorem, steps, outcome = STOPS[stop]
    here(
        "clopsim.set({dim: 8, momentum: 0.5, network: 'on', lambda: 3, seed: 9})"
    )  # what was set before does not count
    here.page.locator("#stops button").nth(stop).click()
    preset = here("([k]) => clopsim.tour[k].preset", stop)
    state = here.state()
    assert preset.items() <= state["settings"].items()
    left = {"dim": 3, "momentum": 0, "network": "off", "seed": 1, "view": "one"}
    assert left.items() <= state["settings"].items()
    assert state["count"] == 0
    assert here.page.locator("#card-title").text_content().endswith(f"({theorem})")
    assert len(re.findall(r"[.:?)] ", here.page.locator("#card-text").text_content() + " ")) >= 2
    assert here.page.locator("#card-question").text_content().count("?") == 1
    length = state["R"]
    here(f"clopsim.step({steps})")
    state = here.state()
    assert state["state"] == outcome
    if stop == 1:  # one step of the paper's central rate: the mean all but vanishes
        assert length > 0.99
        assert state["R"] < 0.2
    else:
        assert state["verdict"] == "as predicted"
    here.page.click("#card-close")
    assert here.page.locator("#card").is_hidden()


def test_the_free_norm_stays_about_the_edge(here):
    """The question of stop 5: on average view cosine 1 - mu w, |u|^2 = 2 mu/tau, the diamond at mu_align; no rest."""
    here("clopsim.visit(4)")
    here("clopsim.set({gradient: 'free', decay: 0.1, n: 200})")
    here("clopsim.step(600)")
    state = here.state()
    assert state["verdict"] == "as predicted"
    assert state["norm"] == pytest.approx(state["prediction"]["norm"], rel=0.1)  # an average over pairs and 40 steps
    assert "Nothing settles" in here.page.locator("#theory").text_content()
    left = float(here("document.getElementById('effective').style.left").rstrip("%"))
    unit = state["thresholds"]["unit"]
    edge = here(f"100 * (Math.log2({state['thresholds']['alignment'] / unit}) + 4) / 8")
    assert left == pytest.approx(edge, abs=2)


def test_it_says_where_each_step_goes_up_the_slope_of_the_loss(here):
    """Where it says so the loss of the page rises to its largest value: that of the point, or of the antipodal line."""
    for loss, what, x, top in (
        ("merged", "collapse", 4, 2 + math.log(59)),
        ("full", "this line", 4, math.log1p(29 * (1 + math.exp(4)))),
    ):
        here("([loss, x]) => { clopsim.set({loss, x, start: 'random'}); clopsim.reset() }", loss, x)
        before = here.state()["loss"]
        for steps in (20, 300):
            here(f"clopsim.step({steps})")
            assert here.page.locator("#theory").text_content().endswith(ASCENT.format(what))
            assert before < here.state()["loss"] < top + 1e-9
        assert here.state()["loss"] == pytest.approx(top, abs=1e-6)
        for wanted in ({"x": 0.25}, {"x": x, "gradient": "tangent"}, {"gradient": "ambient", "lambda": 8}):
            here("([s]) => clopsim.set(s)", wanted)
            assert "T11" not in here.page.locator("#theory").text_content()
        here("clopsim.set({lambda: 0})")


def test_between_the_rates_of_t12_and_t5_the_start_decides(here):
    """An antipodal line is an end as predicted from mu_line on; without prediction of T12 it was called wrong."""
    here("clopsim.set({loss: 'full', tau: 1})")
    state = here.state()
    unit, line, apart = (state["thresholds"][name] for name in ("unit", "line", "alignment"))
    assert "line" in here("[...document.querySelectorAll('.mark sub')].map((mark) => mark.textContent)")
    ends = [value for i in range(60) for value in ((1, 0, 0) if i < 30 else (-1, 0, 0))]
    for rate, phase, from_line, spread in (
        (0.95 * line, "even", None, "even"),
        (1.05 * line, "either", "line", "even"),
        (1.1 * apart, "apart", "line", "line"),
    ):
        for start, expected in ((ends, from_line), (None, spread)):
            here("([x]) => { clopsim.set({x, start: 'views'}); clopsim.reset() }", rate / unit)
            if start:
                here("([u]) => clopsim.load(clopsim.physics.perturbed(Float64Array.from(u), 1e-3))", start)
            here("clopsim.step(400)")
            state = here.state()
            assert state["prediction"]["phase"] == phase
            if expected is None:  # it leaves the line
                assert state["view"] > -0.99
            else:
                assert (state["state"], state["verdict"]) == (expected, "as predicted")


def test_where_n_is_too_small_to_tell_no_run_is_called_wrong(here):
    here("clopsim.set({loss: 'full', tau: 0.05, x: 0.6, start: 'views'}); clopsim.reset()")
    here("clopsim.step(200)")
    state = here.state()
    assert (state["state"], state["verdict"], state["thresholds"]["tooSmall"]["alignment"]) == (
        "even",
        "no prediction",
        True,
    )
    assert here.page.locator("#words").text_content().endswith(": n is too small to tell (T13).")


def test_where_theory_is_silent_it_says_so(here):
    here("clopsim.set({gradient: 'free', decay: 0.1})")
    here("clopsim.step(5)")
    state = here.state()
    assert state["verdict"] == "no prediction"
    assert here.page.locator("#theory").text_content().endswith("for the merged loss there is no theory.")
    assert here.page.locator("#badge").text_content() == ""
    assert here.page.locator("#theory-R").text_content() == "–"


def test_broken_spread_that_never_collapses_is_restless(here):
    here("clopsim.set({gradient: 'tangent', tau: 0.5, x: 4})")
    here("clopsim.step(100)")
    state = here.state()
    assert (state["prediction"]["phase"], state["verdict"]) == ("between", "as predicted")
    assert state["R"] < 0.9


def test_the_flip_of_each_step_is_not_drawn_but_prototypes_show_it(here):
    """Above tau/2 the merged ambient step mirrors the cloud; drawn without it the mean points to one side."""
    here("clopsim.set({start: 'collapse', x: 1.5})")
    before = here.state()["u"]
    here("clopsim.step(1)")
    assert sum(a * b for a, b in zip(before, here.state()["u"], strict=True)) < -50
    assert "drawn without the flip" in here.page.locator("#legend").text_content()
    here("clopsim.set({lambda: 3})")
    assert "flip" not in here.page.locator("#legend").text_content()


def test_marks_and_regions_lie_where_the_thresholds_are(here):
    state = here.state()
    unit = state["thresholds"]["unit"]
    shown = here("[...document.querySelectorAll('.mark')].map((m) => [m.textContent, parseFloat(m.style.left)])")
    assert [name for name, _ in shown] == ["spread breaks μA", "collapse rate μc"]
    box = here.page.locator("#x").bounding_box()
    for (_, left), rate in zip(shown, (state["thresholds"]["uniform"], unit), strict=True):
        assert 2 ** (8 * left / 100 - 4) == pytest.approx(rate / unit, rel=1e-5)
    slide(here, "x", 0)  # the thumb's middle stands on mu_c
    mark = here("document.querySelectorAll('.mark')[1].getBoundingClientRect().x") + 1
    assert mark == pytest.approx(box["x"] + box["width"] / 2, abs=1)
    assert here("[...document.querySelectorAll('#regions .region')].map((r) => r.className)") == [
        "region even", "region between", "region point",
    ]  # fmt: skip
    assert (
        "Collapse rate, μc = 0.5086: complete collapse attracts (T4)" in here.page.locator("#thresholds").text_content()
    )


def test_pictures_have_words_from_the_start(visit):
    here = quiet(visit, "#view=one")
    for name, start in (
        ("sphere", "60 points on a sphere: evenly spread"),
        ("plot-R", "Mean length R over 0 steps, now 0."),
        ("plot-rank", "Effective rank over 0 steps, now 3.000"),
        ("plot-third", "Loss per point over 0 steps"),
        ("map", "Where runs from this start end"),
    ):
        assert here.page.locator(f"#{name}").get_attribute("aria-label").startswith(start)
    assert here("[...document.querySelectorAll('th')].every((cell) => cell.textContent.trim())")


def test_it_speaks_of_changes_of_phase_only(visit):
    here = quiet(visit, "#x=1.08")
    said = "window.said = []; new MutationObserver(() => said.push(document.getElementById('status').textContent))"
    here(said + ".observe(document.getElementById('status'), {childList: true, characterData: true, subtree: true})")
    phases = ["before the first step"]
    for step in range(60):
        here("clopsim.step(1)")
        if (phase := here("[clopsim.state.state, clopsim.state.verdict]")) != phases[-1]:
            phases.append(phase)
        if step == 30:
            here.until("said.length > 0")
    # However slow the page: the first words of a phase are spoken
    spoken = r"/Now: all points (on|within some \d° of) one spot; as predicted\.$/.test(said.at(-1))"
    here.until(spoken)
    assert len(here("said")) <= len(phases)
    here("clopsim.step(20)")
    here.page.wait_for_timeout(500)
    assert here(spoken)
    assert len(here("said")) <= len(phases)
    assert "all points on one spot" in here.page.locator("#sphere").get_attribute("aria-label")
    slider = here.page.locator("#x")
    assert slider.get_attribute("aria-valuetext").startswith("learning rate 0.549, 1.08 × μ_c, above μ_A and μ_c: ")
    slide(here, "x", -2)
    assert "below every threshold" in slider.get_attribute("aria-valuetext")


def test_every_control_has_a_name(here):
    names = here(
        "[...document.querySelectorAll('input, select, button')].map((e) => [e.id, (e.getAttribute('aria-label') || "
        "e.textContent.trim() || [...(e.labels || [])].map((l) => l.textContent.trim()).join())])"
    )
    assert len(names) >= 20
    for name, label in names:
        assert label, name
    assert here("[...document.querySelectorAll('[role=status]')].map((e) => e.id)") == ["misread", "status"]


def test_the_sphere_turns_by_mouse_and_arrow_keys(here):
    first = here.state()["camera"]
    here.page.locator("#sphere").focus()
    here.page.keyboard.press("ArrowLeft")
    here.page.keyboard.press("ArrowUp")
    second = here.state()["camera"]
    assert first["yaw"] != second["yaw"]
    assert first["pitch"] != second["pitch"]
    box = here.page.locator("#sphere").bounding_box()
    here.page.mouse.move(box["x"] + 100, box["y"] + 100)
    here.page.mouse.down()
    here.page.mouse.move(box["x"] + 160, box["y"] + 130)
    here.page.mouse.up()
    assert here.state()["camera"]["yaw"] - second["yaw"] == pytest.approx(3 * 60 / box["width"], rel=0.05)
    colours = here("""() => {
        const canvas = document.getElementById("sphere"), {width, height} = canvas;
        return new Set(new Uint32Array(canvas.getContext("2d").getImageData(0, 0, width, height).data.buffer)).size;
    }""")
    assert colours > 50


def test_without_motion_nothing_plays_by_itself(visit):
    here = quiet(visit)
    here.page.wait_for_timeout(300)
    assert here.state()["count"] == 0
    assert not here.state()["playing"]
    here.page.locator("#stops button").nth(2).click()
    here.page.wait_for_timeout(200)
    assert here.state()["count"] == 0
    here.page.click("#step")
    assert here.state()["count"] == 1


def test_dark_mode_and_phone_width_and_touch(visit):
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = quiet(visit, color_scheme="dark", viewport={"width": 375, "height": 812}, has_touch=True, is_mobile=True)
    assert dark(paper) != quiet(visit)(paper)
    for stop in range(7):
        dark.page.locator("#stops button").nth(stop).tap()
        assert dark("document.documentElement.scrollWidth") <= 375
    dark.page.locator("#step").tap()
    assert dark.state()["count"] == 1
    dark.page.locator("#settings summary").tap()
    dark.page.select_option("#loss", "merged")
    assert dark("document.documentElement.scrollWidth") <= 375


def test_the_policy_refuses_every_request(browser, address):
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(address)
    for request in ("fetch('http://localhost:9/x')", "new Image().src = 'http://localhost:9/x.png'", "eval('1')"):
        page.evaluate(f"(async () => {{ try {{ await ({request}) }} catch {{}} }})()")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.evil = 1'}))"
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.evil") is None
    assert sum("Content Security Policy" in text for text in refused) >= 3
    page.close()


def test_the_page_is_one_file_that_names_no_other():
    page = assemble()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:,)|url\(|@import|https?:|import\(""", page)
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert page.count("'sha256-") == page.count("<script") + 1
    assert len(page.encode()) < 400_000
