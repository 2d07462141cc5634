"""What the page says and draws is to be read: words that nothing covers, numbers in one hand, two values in turn."""

import re
from itertools import pairwise

import pytest

PLAIN = {
    "view": "one", "x": 1.08, "tau": 0.5, "n": 60, "loss": "merged", "gradient": "ambient", "decay": 0, "lambda": 0,
    "classes": 3, "prototypes": "orthonormal", "dim": 3, "network": "off", "momentum": 0, "start": "uniform", "seed": 1,
}  # fmt: skip


@pytest.fixture
def at(lab):
    """at(steps, settings): the state after so many steps from the start."""

    def go(steps, **settings):
        lab("([s]) => { clopsim.pause(); clopsim.set(s); clopsim.reset() }", PLAIN | settings)
        lab(f"clopsim.step({steps})")
        return lab.state()

    return go


# Every word of the track with its sides; what lies over the track, the same; both in pixels of the window
COVERED = """() => {
    const sides = (node) => { const { left, right } = node.getBoundingClientRect(); return [left, right]; };
    const seen = (list) => [...document.querySelectorAll(list)].filter((node) => node.getClientRects().length);
    const { view, x } = clopsim.state.settings, wide = view === "pair" ? 46 : 22;
    const [left, right] = sides(document.getElementById("regions"));
    const middle = left + ((right - left) * (Math.log2(x) + 4)) / 8;
    return {
        words: seen("#regions .word").map((node) => [node.textContent, ...sides(node), ...sides(node.parentNode)]),
        over: [[middle - wide / 2, middle + wide / 2], ...seen("#marks .mark, #effective").map(sides)],
    };
}"""
TRACKS = [
    "loss=fedrcl",
    "loss=full",
    "loss=simo",
    "lambda=3",
    "gradient=free&decay=0.1",
    "network=on",
    "loss=full&gradient=tangent",
]


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("track", TRACKS)
def test_nothing_covers_a_word_of_the_track(visit, track, width):
    here = visit(f"?hide=map,charts#{track}", reduced_motion="reduce", viewport={"width": width, "height": 800})
    seen = 0
    for view in ("one", "pair"):
        for k in range(33):
            here("([s]) => { clopsim.set(s); clopsim.step(1) }", {"view": view, "x": 2 ** (k / 4 - 4)})
            found = here(COVERED)
            for word, left, right, start, end in found["words"]:
                assert start <= left, word
                assert right <= end, word
                assert not [(a, b) for a, b in found["over"] if a < right and b > left], (view, k, word)
            seen += len(found["words"])
    assert seen >= (66 if width > 1000 else 33)  # a word at least at each place


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("link", ["", "#loss=fedrcl", "#loss=full", "?embed=1"])
def test_no_line_covers_a_number_of_the_track(visit, link, width):
    here = visit(link, reduced_motion="reduce", viewport={"width": width, "height": 800})
    for tau in (0.05, 0.5, 1.3, 2):
        here("([tau]) => clopsim.set({ tau, x: 1 })", tau)
        marks, ticks = here("""() => [".mark", ".tick"].map((list) => [...document.querySelectorAll(list)]
            .filter((node) => node.getClientRects().length).map((node) => node.getBoundingClientRect().toJSON()))""")
        assert len(marks) >= 2
        for mark in marks:
            assert not [tick for tick in ticks if mark["bottom"] > tick["top"]]


def test_a_word_moves_aside_for_the_handle_and_goes_where_it_has_no_room(visit):
    here = visit("?hide=map#loss=full", reduced_motion="reduce", viewport={"width": 1440, "height": 800})
    place = "[...document.querySelectorAll('.word')].filter((word) => !word.hidden).at(-1).getBoundingClientRect()"
    here("clopsim.set({ x: 0.1 })")
    middle = here(f"{place}.left")
    here("clopsim.set({ x: 3.5 })")  # to the right, where more room is left
    assert here(f"{place}.left") > middle + 20
    here("clopsim.set({ x: 5.5 })")
    assert here(f"{place}.left") < middle - 20
    words = "[...document.querySelectorAll('.word')].map((word) => [word.textContent, word.hidden])"
    for x, gone in ((0.2, False), (1.5, True)):
        here("([x]) => clopsim.set({ loss: 'fedrcl', view: 'pair', x })", x)
        assert ["falls onto a line", gone] in here(words)


def test_a_run_that_jumps_between_two_places_says_so(at):
    jumps = ", jumping between two places"
    for settings, words in (
        ({"lambda": 3, "x": 2}, f"each class on one point{jumps}, at cosine 0.49 and 0.72 to its prototype"),
        ({"lambda": 0.25, "x": 2}, f"all points on one spot{jumps}"),  # of either side: cosines with each other are 1
        ({"lambda": 3, "x": 0.5}, "each class on one point, at cosine 0.99 to its prototype"),
    ):
        state = at(200, start="collapse", **settings)
        assert (state["words"], state["verdict"]) == (words, "as predicted")
    state = at(300, loss="full", x=4, **{"lambda": 1})
    assert re.fullmatch(rf"each point on average at cosine 0\.\d\d to its prototype{jumps}", state["words"])


HYPHENS = r"(?<![\w−-])-\s?[\d.]|\de[+-]\d"
READ = """() => [document.body.innerText, ...[...document.querySelectorAll("[aria-label], [aria-valuetext]")]
    .flatMap((node) => [node.getAttribute("aria-label"), node.getAttribute("aria-valuetext")]).filter(Boolean)]"""


def test_every_number_of_the_page_is_written_one_way(at, lab):
    """With U+2212, as in the font of the figures, and powers of ten raised: in words, tables, captions and labels."""
    minus = 0
    for settings in (
        {"loss": "full", "x": 2.5}, {"loss": "full", "x": 2.5, "view": "pair"}, {"loss": "simo"},
        {"lambda": 0.25, "x": 2, "start": "collapse"}, {"loss": "antiCollapse", "dim": 16, "n": 200},
        {"loss": "fedrcl", "tau": 0.05, "classes": 4, "n": 64}, {"loss": "sscl", "lambda": 2},
        {"loss": "full", "network": "on", "x": 3}, {"loss": "unhinged", "start": "collapse"},
        {"lambda": 20, "prototypes": "simplex", "classes": 2, "x": 16},
    ):  # fmt: skip
        at(31, **settings)
        for said in lab(READ):
            assert not re.findall(HYPHENS, said), said
            minus += len(re.findall(r"−[\d.]", said))
    assert minus > 10
    for code, said in (
        ("text.fixed(-0.0001)", "0.000"), ("text.fixed(-1.5, 1)", "−1.5"), ("text.two(-1)", "−1.00"),
        ("text.two(-0.001)", "0"), ("text.precise(2.353e17, 4)", "2.353 × 10¹⁷"),
        ("text.precise(1e-9, 2)", "1.0 × 10⁻⁹"), ("text.precise(0.25)", "0.250"),
    ):  # fmt: skip
        assert lab(code) == said


def test_no_name_stands_for_two_rates(at, lab):
    """The slider's unit is a rate of plain tangent steps: beside a mark of other steps it says so."""
    for loss in lab("Object.keys(losses)"):
        for gradient, beta in (("ambient", 0), ("ambient", 0.5), ("tangent", 0), ("tangent", 0.5)):
            at(0, loss=loss, gradient=gradient, momentum=beta)
            *marks, unit = lab("[...document.querySelectorAll('#thresholds li')].map((item) => item.textContent)")
            rates = dict(re.search(r", (μ\w+) = (.+?):", mark).groups() for mark in marks)
            assert len(rates) == len(marks), marks
            _, name, *_, rate = unit.split(" = ")
            if name in rates:
                assert rates[name] == rate, (loss, gradient, beta)


# ---- two values in turn ----------------------------------------------------------------------------------------------

STRETCHES = "([y]) => charts.alternating(y.map((y, count) => ({ y, count })), ({ y }) => y)"


@pytest.mark.parametrize(
    "heights, expected",
    [
        ([0, 30] * 10, [[0, 19]]),
        ([k**2 for k in range(40)], []),  # steep, but one line
        ([50 * (-0.5) ** k for k in range(40)], []),  # it comes to rest within a few steps
        ([0, 1] * 20, []),  # less than a line is wide
        ([7] * 10 + [0, 30] * 10 + [7] * 10, [[9, 30]]),
        ([0, 30] * 3 + [15] * 5, []),
        ([(k % 2) * 30 + k for k in range(30)], [[0, 29]]),  # both values drift
        ([None, *[0, 30] * 8], [[1, 16]]),
    ],
)
def test_stretches_of_two_values_in_turn_are_found(lab, heights, expected):
    assert lab(STRETCHES.replace("({ y }) => y", "({ y }) => y ?? NaN"), heights) == expected


@pytest.mark.parametrize("steps", [900, 5000, 5001, 20003])
def test_however_long_the_run_both_values_are_kept(lab, steps):
    """A history that keeps every second, fourth, .. step alone has one of the two values only."""
    kept, found = lab(
        """([steps]) => {
            const history = charts.newHistory();
            for (let count = 0; count <= steps; count++) charts.push(history, { count, y: 40 * (count % 2) });
            const { records, latest } = history, all = records.at(-1) === latest ? records : [...records, latest];
            return [records.map(({ count }) => count), charts.alternating(all, ({ y }) => y)];
        }""",
        steps,
    )
    assert len(kept) <= 1200
    assert max(b - a for a, b in pairwise(kept)) <= steps / 200
    assert (found[0][0], len(found)) == (0, 1)
    assert found[0][1] >= len(kept) - 1


def strokes(lab, name, part):
    """In a column of a chart: how many pixels are of the run's colour, and in how many strokes."""
    return lab(
        """([name, part]) => {
            const canvas = document.getElementById(name), { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(Math.round(part * width), 0, 1, height);
            const tint = ink.colour("--run-0").match(/\\w\\w/g).map((two) => parseInt(two, 16));
            const is = (y) => data[4 * y + 3] > 128 && tint.every((value, k) => Math.abs(data[4 * y + k] - value) < 12);
            const own = Array.from({ length: height }, (_, y) => is(y));
            return [own.filter(Boolean).length, own.filter((on, y) => on && !own[y - 1]).length];
        }""",
        name,
        part,
    )


def test_what_alternates_is_drawn_as_two_lines_and_the_rest_as_one(at, lab):
    at(200, start="collapse", x=2, **{"lambda": 3})
    for name in ("plot-rank", "plot-third"):
        pixels, lines = strokes(lab, name, 0.6)
        assert (lines, pixels < 10) == (2, True), (name, pixels, lines)
    at(200)  # a collapse: at rest
    assert strokes(lab, "plot-R", 0.6)[1] == 1


# The two numbers beside the chart of the loss, and how far left the first letter of one begins
MARKS = """() => {
    const write = CanvasRenderingContext2D.prototype.fillText, found = [];
    CanvasRenderingContext2D.prototype.fillText = function (what, x, y) {
        if (this.canvas.id === "plot-third") found.push([what, x - this.measureText(what).width]);
        return write.apply(this, arguments);
    };
    clopsim.step(1);
    CanvasRenderingContext2D.prototype.fillText = write;
    return found.slice(-2);
}"""


@pytest.mark.parametrize("setting", [{"tau": 0.05, "x": 1.1}, {}, {"loss": "simo", "start": "collapse", "x": 0.9}])
def test_the_scale_of_the_loss_holds_the_run_and_has_room_for_its_numbers(at, lab, setting):
    first = at(0, **setting)["loss"]
    at(20, **setting)
    (low, left), (high, right) = lab(MARKS)
    for loss in (first, lab.state()["loss"]):
        assert float(low) <= loss <= float(high), (low, high)
    assert min(left, right) >= 0, (low, high)


# ---- two columns -----------------------------------------------------------------------------------------------------

BOTTOMS = """() => {
    const box = (node) => node.getBoundingClientRect(), top = (id) => box(document.getElementById(id)).top;
    const under = (list) => Math.max(...[...document.querySelectorAll(list)].map((node) => box(node).bottom));
    return [under(".stage > *"), under("#settings > *"), under("#map, #map-legend"), top("thresholds"), top("plot-R")];
}"""


@pytest.mark.parametrize("width, height", [(1440, 900), (1024, 768)])
def test_the_list_of_rates_stands_under_the_map_and_no_column_ends_far_above_the_other(visit, width, height):
    for link in ("", "#view=one", "#loss=fedrcl", "#lambda=3&x=2", "#network=on"):
        here = visit(link, reduced_motion="reduce", viewport={"width": width, "height": height})
        left, right, chart, rates, _ = here(BOTTOMS)
        assert abs(left - right) < 110, (link, left, right)
        if "network" not in link:
            assert 0 <= rates - chart < 40


def test_on_a_phone_the_rates_come_after_the_map_and_before_the_charts(visit):
    here = visit("", reduced_motion="reduce", viewport={"width": 390, "height": 844})
    _, _, chart, rates, plot = here(BOTTOMS)
    assert chart <= rates < plot
