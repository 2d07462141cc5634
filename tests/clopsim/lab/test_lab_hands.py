"""What hands do to a run: the timeline, points that are dragged, a shake, a kept curve, the tour's buttons."""

import math

import pytest


@pytest.fixture
def here(visit):
    return visit("?hide=map#x=1.05&seed=3", reduced_motion="reduce")


def drag(here, start, *places):
    here.page.mouse.move(*start)
    here.page.mouse.down()
    for place in places:
        here.page.mouse.move(*place)
    here.page.mouse.up()


def test_the_timeline_goes_back_and_a_run_goes_on_from_there_as_before(here):
    assert here.page.locator("#timeline").is_disabled()
    here("clopsim.step(12)")
    twelve = here.state()
    here("clopsim.step(18)")
    thirty = here.state()
    here.page.locator("#timeline").fill("12")
    state = here.state()
    assert (state["count"], state["u"], state["R"]) == (12, twelve["u"], twelve["R"])
    assert here.page.locator("#timeline-value").text_content() == "12 of 30"
    assert here.page.locator("#now-count").text_content() == "12"
    here.page.locator("#timeline").fill("30")  # looking back loses nothing
    assert here.state()["u"] == thirty["u"]
    assert here.page.locator("#timeline-value").text_content() == "30"
    here.page.locator("#timeline").fill("12")
    here("clopsim.step(18)")
    assert here.state()["u"] == thirty["u"]
    here.page.locator("#timeline").fill("12")
    here("clopsim.set({x: 0.5})")
    here("clopsim.step(5)")  # another way from there: what came later is forgotten
    assert here.page.locator("#timeline").get_attribute("max") == "17"
    assert here("clopsim.records.at(-1).count") == 17
    assert [row["count"] for row in here("clopsim.records")] == list(range(18))


def test_of_a_long_run_the_timeline_knows_the_start_the_end_and_some_between(here):
    here("clopsim.set({n: 6}); clopsim.step(2000)")
    last = here.state()["u"]
    for wanted in (0, 700, 1400):
        here.page.locator("#timeline").fill(str(wanted))
        assert here.state()["count"] == pytest.approx(wanted, abs=4)
    here.page.locator("#timeline").fill("2000")
    assert (here.state()["count"], here.state()["u"]) == (2000, last)


def test_the_timeline_moves_a_pair_together_and_with_momentum(visit):
    here = visit("?hide=map#view=pair&momentum=0.5&x=1", reduced_motion="reduce")
    here("clopsim.step(20)")
    ends = here("clopsim.states.map(({u}) => u)")
    here.page.locator("#timeline").fill("7")
    assert here("clopsim.states.map(({count}) => count)") == [7, 7]
    here("clopsim.step(13)")
    assert here("clopsim.states.map(({u}) => u)") == ends


def place(here, i, sphere="#sphere"):
    """Where point i is on the screen, and whether in front."""
    box = here.page.locator(sphere).bounding_box()
    state = here.state()
    x, y, z = state["u"][3 * i : 3 * i + 3]
    yaw, pitch = state["camera"]["yaw"], state["camera"]["pitch"]
    right, deep = math.cos(yaw) * x + math.sin(yaw) * z, math.cos(yaw) * z - math.sin(yaw) * x
    up, towards = math.cos(pitch) * y - math.sin(pitch) * deep, math.sin(pitch) * y + math.cos(pitch) * deep
    return (box["x"] + (0.5 + 0.43 * right) * box["width"], box["y"] + (0.5 - 0.43 * up) * box["height"]), towards


def test_a_point_is_dragged_to_where_the_pointer_is(here):
    i = max(range(60), key=lambda k: place(here, k)[1])  # the one nearest to the viewer
    before = here.state()
    start, _ = place(here, i)
    goal = (start[0] + 60, start[1] - 50)
    drag(here, start, (start[0] + 30, start[1] - 20), goal)
    after = here.state()
    assert place(here, i)[0] == pytest.approx(goal, abs=1)
    assert math.hypot(*after["u"][3 * i : 3 * i + 3]) == pytest.approx(1)
    rest = [k for k in range(180) if k // 3 != i]
    assert [after["u"][k] for k in rest] == [before["u"][k] for k in rest]
    assert after["camera"] == before["camera"]
    box = here.page.locator("#sphere").bounding_box()
    rim = (box["x"] + 0.97 * box["width"], box["y"] + 0.5 * box["height"])  # no point there: the sphere turns
    drag(here, rim, (rim[0] - 40, rim[1]))
    assert here.state()["camera"] != before["camera"]
    assert here.state()["u"] == after["u"]


@pytest.mark.parametrize("settings", ["view=pair", "gradient=free&loss=full", "dim=7", "momentum=0.6"])
def test_a_dragged_point_moves_in_every_run_and_any_dimension(visit, settings):
    here = visit(f"?hide=map#{settings}&x=1", reduced_motion="reduce")
    here("clopsim.step(3)")
    before = here("clopsim.states")
    box = here.page.locator("#sphere").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    moved = None
    for radius in range(0, 150, 5):  # until the pointer has met a point
        for turn in range(6):
            start = (middle[0] + radius * math.cos(turn + radius), middle[1] + radius * math.sin(turn + radius))
            drag(here, start, (start[0] + 5, start[1]), (start[0] + 9, start[1] + 2))
            moved = [
                [k for k, (a, b) in enumerate(zip(one["u"], other["u"], strict=True)) if a != b]
                for one, other in zip(before, here("clopsim.states"), strict=True)
            ]
            if moved[0]:
                break
        if moved[0]:
            break
    d = len(before[0]["u"]) // 60
    for one, other, changed in zip(before, here("clopsim.states"), moved, strict=True):
        (i,) = {k // d for k in changed}
        sizes = [math.hypot(*state["u"][d * i : d * i + d]) for state in (one, other)]
        assert sizes[1] == pytest.approx(sizes[0])
    here("clopsim.step(2)")
    assert all(math.isfinite(value) for value in here.state()["u"])


def test_outputs_of_a_network_are_not_dragged_but_have_a_timeline(visit):
    here = visit("?hide=map#network=on", reduced_motion="reduce")
    here("clopsim.step(6)")
    six = here.state()["u"]
    here("clopsim.step(9)")
    fifteen = here.state()["u"]
    assert here.page.locator("#shake").is_disabled()
    box = here.page.locator("#sphere").bounding_box()
    for up in range(30, 330, 30):
        start = (box["x"] + up, box["y"] + box["height"] / 2)
        drag(here, start, (start[0] + 30, start[1] + 9))
    assert here.state()["u"] == fifteen
    here.page.locator("#timeline").fill("6")
    assert here.state()["u"] == six
    here("clopsim.step(9)")
    assert here.state()["u"] == fifteen
    slide = here.page.locator("#x")
    slide.fill("-1")  # another rate goes on from the same weights
    assert here.state()["u"] == fifteen
    here("clopsim.step(5)")
    assert all(math.isfinite(value) for value in here.state()["u"])
    assert here.state()["u"] != fifteen


def test_a_shake_moves_every_point_a_little_and_a_pair_alike(visit):
    here = visit("?hide=map#view=pair&start=collapse", reduced_motion="reduce")
    before = here.state()["u"]
    here.page.click("#shake")
    below, above = here("clopsim.states")
    assert below["u"] == above["u"]
    cosines = [sum(before[k + j] * below["u"][k + j] for j in range(3)) for k in range(0, 180, 3)]
    assert 0.9 < min(cosines) < max(cosines) < 1
    here.page.click("#shake")
    assert here.state()["u"] != below["u"]


def test_a_kept_curve_stays_while_the_run_begins_anew(here):
    here("clopsim.step(30)")
    alone = here("document.getElementById('plot-R').toDataURL()")
    here.page.click("#keep")
    here.page.click("#reset")
    reset = here("document.getElementById('plot-R').toDataURL()")
    assert reset != alone
    here.page.click("#keep")
    assert here.page.locator("#keep").text_content() == "Keep this curve"
    assert here("document.getElementById('plot-R').toDataURL()") != reset


def test_buttons_of_the_card_do_what_it_asks_and_lead_on(visit):
    here = visit("?hide=map#stop=1", reduced_motion="reduce")
    assert here.page.locator("#card-back").is_disabled()
    for stop in range(7):
        assert here("clopsim.tour.open") == stop
        tries = here(f"clopsim.tour[{stop}].tries.map(({{label, play, restart, ...rest}}) => rest.set)")
        buttons = here.page.locator("#card-tries button")
        assert buttons.count() == len(tries) >= 1
        for k, wanted in enumerate(tries):
            here("clopsim.step(2)")
            buttons.nth(k).click()
            settings = here.state()["settings"]
            assert {name: pytest.approx(v) if isinstance(v, float) else v for name, v in wanted.items()}.items() <= (
                settings.items()
            )
        if stop < 6:
            here.page.click("#card-next")
    assert here.page.locator("#card-next").is_disabled()
    here.page.click("#card-back")
    assert here("clopsim.tour.open") == 5


IN_SIGHT = """(ids) => ids.every((id) => {
    const box = document.getElementById(id).getBoundingClientRect();
    const middle = (box.left + box.right) / 2, seen = (y) => document.elementFromPoint(middle, y)?.closest(`#${id}`);
    return box.left >= 0 && box.right <= innerWidth && seen(box.top + 2) && seen(box.bottom - 2);
})"""


@pytest.mark.parametrize("width, height", [(320, 568), (375, 667), (568, 320), (844, 390)])
@pytest.mark.parametrize("view", ["one", "pair"])
def test_a_small_phone_s_first_screen_has_sphere_and_slider(visit, width, height, view):
    here = visit(f"?hide=map#view={view}", reduced_motion="reduce", viewport={"width": width, "height": height})
    assert here.page.evaluate(IN_SIGHT, ["sphere", "x", "play"] + ["sphere-1"] * (view == "pair"))
    assert here("scrollY") == 0


@pytest.mark.parametrize("width, height", [(390, 844), (390, 740), (320, 568)])
def test_on_a_phone_next_sphere_and_slider_are_seen_together(visit, width, height):
    here = visit("#stop=1", reduced_motion="reduce", viewport={"width": width, "height": height}, has_touch=True)
    for stop in range(7):
        here.page.evaluate("scrollTo(0, 0)")
        if height < 800:  # a small one: once the text is read
            here.page.evaluate("scrollTo(0, document.getElementById('card').getBoundingClientRect().bottom)")
        assert here.page.evaluate(IN_SIGHT, ["card-next", "sphere", "x", "play"]), stop
        assert here.page.locator("#card-tries button").first.is_visible()
        if stop < 6:
            here.page.tap("#card-next")


@pytest.mark.parametrize("width, height", [(320, 568), (320, 256), (568, 320), (640, 400), (390, 844)])
@pytest.mark.parametrize("hash", ["", "#stop=4", "#stop=6", "#gradient=free&loss=full&dim=16"])
def test_nothing_overflows(visit, width, height, hash):
    """640 x 400 is a screen of 1280 x 800 at 200 %."""
    here = visit("?hide=map" + hash, reduced_motion="reduce", viewport={"width": width, "height": height})
    here("document.getElementById('settings').open = true")
    here("clopsim.step(20)")
    assert here("document.documentElement.scrollWidth") <= width
    wide = here("""() => [...document.querySelectorAll("body *")].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width > 1 && box.right > innerWidth + 1 && !node.closest(".hidden, #marks");
    }).map((node) => node.id || node.tagName)""")
    assert wide == []


@pytest.mark.parametrize("width", [320, 390, 900, 1024])
def test_no_choice_is_cut_off(visit, width):
    here = visit("?hide=map#view=one", reduced_motion="reduce", viewport={"width": width, "height": 800})
    here("document.getElementById('settings').open = true")
    room = """() => [...document.querySelectorAll("select")].map((list) => {
        const wide = list.offsetWidth;
        list.style.width = "max-content";
        return [list.id, wide - list.offsetWidth];
    })"""
    assert [name for name, left in here(room) if left < 0] == []


def test_words_at_the_edge_of_a_sphere_s_picture_are_not_cut_off(visit):
    """What stands at a corner of the canvas is part of it: there the labels of groups may lie."""
    here = visit("?hide=map", reduced_motion="reduce")
    for sphere in ("sphere", "sphere-1"):
        assert here(
            """([id]) => {
                const canvas = document.getElementById(id), box = canvas.getBoundingClientRect();
                return document.elementFromPoint(box.left + 3, box.bottom - 3) === canvas;
            }""",
            sphere,
        )
