"""The map: computed in a worker, true to the runs of the page, and a place to pick a setting."""

import math
import re
from itertools import pairwise

import pytest

from tests.clopsim.lab.conftest import Visit

SMALL = "#n=20&start=uniform"  # few points: the map is soon complete


def complete(here):
    """The cells of the map, once it has them all."""
    here.until("clopsim.map.cells.every((cell) => cell)", seconds=60)
    return here("clopsim.map.cells")


@pytest.fixture(scope="module")
def mapped(browser, address):
    """A page whose map is complete."""
    here = Visit(browser.new_context(reduced_motion="reduce"), address)
    here.page.goto(address + SMALL)
    yield here, complete(here)
    here.page.context.close()
    assert here.trouble == []


def test_it_is_computed_in_a_worker_and_the_page_does_not_step(visit):
    here = visit(SMALL, reduced_motion="reduce")
    here.until("clopsim.map.cells.some((cell) => cell)")
    assert len(here.page.workers) == 1
    cells = complete(here)
    assert len(cells) == here("clopsim.ends.COLUMNS * clopsim.ends.ROWS")
    assert set(cells) <= set(here("Object.keys(clopsim.map.NAMES)"))
    assert here.state()["count"] == 0


@pytest.mark.parametrize("column, row", [(0, 6), (12, 8), (14, 12), (17, 10), (20, 11), (32, 9)])
def test_its_cells_are_where_runs_of_the_page_end(mapped, column, row):
    here, cells = mapped
    x, tau = here(f"[clopsim.ends.rate({column}), clopsim.ends.AXES.tau.at({row} / 12)]")
    here("([x, tau]) => { clopsim.set({x, tau}); clopsim.reset(); clopsim.step(clopsim.ends.STEPS) }", x, tau)
    state = here.state()
    assert cells[row * 33 + column] == (state["state"] if not state["motion"] else "between")


def test_its_borders_lie_on_theory_s_lines(mapped):
    """At high temperature the even spread is kept below mu_A and lost to a point above mu_c, cell for cell."""
    here, cells = mapped
    for row in (9, 10, 11):
        tau = here(f"clopsim.ends.AXES.tau.at({row} / 12)")
        th = here("([tau]) => clopsim.theory.thresholds({...clopsim.state.settings, tau})", tau)
        broken = th["uniform"] / th["unit"]
        for column in range(33):
            x, cell = 2 ** (column / 4 - 4), cells[row * 33 + column]
            if x < 0.95 * min(1, broken):
                assert cell == "even", (x, tau)
            elif x > 1.1:
                assert cell == "point", (x, tau)
    lines = here("clopsim.map.lines")
    assert [line["name"] for line in lines] == ["μ_A", "μ_c"]
    for x, tau, _ in lines[0]["points"][::12]:
        th = here("([tau]) => clopsim.theory.thresholds({...clopsim.state.settings, tau})", tau)
        assert x == pytest.approx(th["uniform"] / th["unit"], rel=1e-12)


@pytest.mark.parametrize("settings", ["dim=16", "dim=8&momentum=0.6", "loss=full&gradient=tangent", "n=6"])
def test_no_line_is_drawn_where_a_rate_jumps_to_that_of_many_points(visit, settings):
    here = visit(f"?hide=map#n=60&{settings}", reduced_motion="reduce")
    jumps = set()
    for line in here("clopsim.map.lines"):
        for (x, _, kind), (y, _, other) in pairwise(line["points"]):
            if abs(math.log2(y / x)) > 0.75:  # in one of 61 temperatures
                jumps.add((kind, other))
    assert jumps == {("limit", "rough")}


def test_it_is_drawn_anew_in_the_colours_of_the_dark(mapped):
    here, _ = mapped
    here("() => { window.picture = () => document.getElementById('map').toDataURL(); window.light = picture() }")
    here.page.emulate_media(color_scheme="dark")
    here.until("picture() !== light")
    here.page.emulate_media(color_scheme="light")
    here.until("picture() === light")


def test_of_a_network_nothing_is_computed(visit):
    here = visit("#n=40", reduced_motion="reduce")
    here.until("clopsim.map.cells.some((cell) => cell)")
    here("clopsim.set({network: 'on'})")
    here.page.wait_for_timeout(600)  # twice as long as settings must have stood still
    assert not any(here("clopsim.map.cells"))
    here("clopsim.set({network: 'off'})")
    here.until("clopsim.map.cells.some((cell) => cell)")


def test_its_words_are_the_row_of_the_temperature(mapped):
    here, _ = mapped
    here("clopsim.set({tau: 1.2})")
    said = here.page.locator("#map").get_attribute("aria-label")
    assert re.search(r"At temperature 1\.\d+, .*: evenly spread at 0\.063 to 0\.\d+, .*on one spot at .* to 16$", said)
    assert "on one spot" in here.page.locator("#map-legend").text_content()


def test_it_follows_the_settings_but_not_its_own_axes(visit):
    here = visit("#n=12&loss=full&gradient=tangent&start=views", reduced_motion="reduce")
    cells = complete(here)
    assert {"even", "apart"} <= set(cells)
    here("clopsim.set({x: 4, tau: 0.3, speed: 100, view: 'pair'})")
    assert here("clopsim.map.cells") == cells
    assert "still computing" not in here.page.locator("#map").get_attribute("aria-label")
    here("clopsim.set({lambda: 12, start: 'collapse', loss: 'merged', view: 'one'})")
    assert "still computing" in here.page.locator("#map").get_attribute("aria-label")
    assert "classes" in complete(here)


def test_without_a_worker_it_is_computed_all_the_same(visit, browser, address):
    without = Visit(browser.new_context(reduced_motion="reduce"), address)
    without.page.add_init_script("delete window.Worker")
    without.page.goto(address + "#n=8")
    cells = complete(without)
    assert without.page.workers == without.trouble == []
    without.page.context.close()
    assert complete(visit("#n=8", reduced_motion="reduce")) == cells


def picked(here, right, up):
    """The setting at a place of the map, from 0 to 1 to the right and upwards."""
    rows = here("clopsim.ends.ROWS")
    return 2 ** (8 * right - 4), 0.05 * 40 ** max(0, min(1, (up * rows - 0.5) / (rows - 1)))


def test_a_click_and_a_drag_of_the_dot_set_both_and_leave_the_run(visit):
    here = visit("#n=12&x=1", reduced_motion="reduce")
    here("clopsim.step(3)")
    here.page.locator("#map").scroll_into_view_if_needed()
    box = here.page.locator("#map").bounding_box()
    here.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    here.page.mouse.down()
    for (right, up), moves in (((0.25, 0.5), False), ((0.7, 0.8), True), ((1.5, -0.5), True)):
        if moves:
            here.page.mouse.move(box["x"] + right * box["width"], box["y"] + (1 - up) * box["height"])
        x, tau = picked(here, min(right, 1), max(up, 0))
        state = here.state()
        assert state["settings"]["x"] == pytest.approx(x, rel=0.02)
        assert state["settings"]["tau"] == pytest.approx(tau, rel=0.02)
        assert state["count"] == 3
    here.page.mouse.up()
    assert float(here.page.locator("#x").input_value()) == 4
    here.page.mouse.move(box["x"] + 5, box["y"] + 5)  # released: it stays
    assert here.state()["settings"]["x"] == 16


def test_arrow_keys_move_the_setting(visit):
    here = visit("#n=12&x=1&tau=0.5&view=pair", reduced_motion="reduce")
    here.page.locator("#map").focus()
    for key in ("ArrowRight", "ArrowUp"):
        here.page.keyboard.press(key)
    settings = here.state()["settings"]
    assert settings["x"] == pytest.approx(2 ** (8 / 128), rel=0.01)
    assert settings["tau"] > 0.51
    for key in ("ArrowLeft", "ArrowDown"):
        here.page.keyboard.press(key)
    settings = here.state()["settings"]
    assert settings["x"] == pytest.approx(1, rel=0.01)
    assert settings["tau"] == pytest.approx(0.5, rel=0.02)
    assert settings["view"] == "pair"


def test_a_finger_taps_it_or_takes_the_dot_but_else_scrolls_the_page(visit):
    here = visit("#n=12&x=1&tau=0.5", reduced_motion="reduce", viewport={"width": 390, "height": 500}, has_touch=True)
    here.page.locator("#map").scroll_into_view_if_needed()
    box = here.page.locator("#map").bounding_box()
    here.page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    x, tau = picked(here, 0.75, 0.5)
    assert here.state()["settings"]["x"] == pytest.approx(x, rel=0.05)
    assert here.state()["settings"]["tau"] == pytest.approx(tau, rel=0.05)
    touch = here.page.context.new_cdp_session(here.page)

    def send(kind, right, up):
        places = [{"x": box["x"] + right * box["width"], "y": box["y"] + (1 - up) * box["height"]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else places})

    send("touchStart", 0.75, 0.5)  # on the dot
    send("touchMove", 0.6, 0.6)
    send("touchMove", 0.5, 0.7)
    send("touchEnd", 0, 0)
    x, tau = picked(here, 0.5, 0.7)
    assert math.log2(here.state()["settings"]["x"]) == pytest.approx(math.log2(x), abs=0.1)
    assert here.state()["settings"]["tau"] == pytest.approx(tau, rel=0.1)


def test_of_a_loss_without_a_temperature_it_shows_the_momentum(visit):
    """At the same learning rates SimO's classes stay on points at high momentum only: rows are runs of their own."""
    here = visit("#loss=simo&n=24&x=1.8&start=views&gradient=tangent", reduced_motion="reduce")
    cells = complete(here)
    assert here.page.locator(".map p").first.text_content().startswith("Map, momentum β upwards")
    rows = [cells[33 * row : 33 * row + 33] for row in range(13)]
    assert len({tuple(row) for row in rows}) > 2
    last = [max(column for column, cell in enumerate(row) if cell == "classes") for row in rows]
    assert last[0] < last[6] <= last[12]
    for row, column in ((0, last[0]), (6, last[0] + 1), (12, 0)):  # cells are where runs of the page end
        x, beta = here(f"[clopsim.ends.rate({column}), clopsim.ends.AXES.momentum.at({row} / 12)]")
        assert beta == pytest.approx(0.95 * row / 12, abs=1e-3)
        here("([x, momentum]) => { clopsim.set({ x, momentum }); clopsim.reset(); clopsim.step(200) }", x, beta)
        assert here.page.locator("#words").text_content().startswith("each class on")
        assert rows[row][column] == "classes"
    here("clopsim.set({ momentum: 0, x: 1.8 })")
    for x, beta, _ in here("clopsim.map.lines")[0]["points"][::15]:
        assert x == pytest.approx(1 + beta, rel=1e-9)
    assert "At momentum 0, learning rate in units of mu_O: gathered by class" in here("clopsim.map.describe()")
    here.page.locator("#map").focus()
    before = here.state()["settings"]
    for key in ("ArrowUp", "ArrowUp", "ArrowRight"):
        here.page.keyboard.press(key)
    settings = here.state()["settings"]
    assert 0 < settings["momentum"] < 0.1
    assert settings["x"] > before["x"]
    assert settings["tau"] == before["tau"]
    assert here("clopsim.map.cells") == cells  # its own axis
    here("clopsim.set({ loss: 'merged' })")
    assert here.page.locator(".map p").first.text_content().startswith("Map, temperature τ upwards")


def test_no_name_of_a_line_lies_on_the_dot(visit):
    here = visit("?hide=charts#loss=simo&n=12", reduced_motion="reduce")
    here("""() => {
        const write = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (what, x, y) {
            if (this.canvas.id === "map") window.written = [...(window.written ?? []), [what, x, y]];
            return write.apply(this, arguments);
        };
    }""")
    for loss, beta in (("simo", 0), ("simo", 0.5), ("simo", 0.95), ("merged", 0)):
        for k in range(9):
            x = 2 ** (k / 4 - 1)
            here(
                "([s]) => { window.written = []; clopsim.set(s) }",
                {"loss": loss, "momentum": beta, "x": x, "tau": 0.06},
            )
            width, height = here("[document.getElementById('map').width, document.getElementById('map').height]")
            level = beta / 0.95 if loss == "simo" else math.log(0.06 / 0.05) / math.log(40)
            dot = width * (math.log2(x) + 4) / 8, height * (1 - (12 * level + 0.5) / 13)
            names = [(a, b) for what, a, b in here("written") if what == "μ"]
            assert names
            assert min(math.dist(dot, name) for name in names) > 12, (loss, beta, x)
