"""What leaves the page: links, pictures, the page in a page of another."""

import io
import re

import pytest
from PIL import Image

from clopsim.lab import assemble, iframe

QUIET = {"reduced_motion": "reduce"}


def test_a_copied_link_holds_the_settings(visit):
    here = visit("?hide=map#x=0.7&seed=9", **QUIET)
    here.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    here.page.click("#copy")
    here.until("document.getElementById('copy').textContent === 'Link copied'")
    link = here("navigator.clipboard.readText()")
    assert link.split("#")[0] == here("location.href").split("?")[0]
    assert "&x=0.7&" in link
    assert "seed=9" in link
    assert "#" + here("clopsim.hash()") == "#" + link.split("#")[1]
    here.until("document.getElementById('copy').textContent === 'Copy link'")


def test_where_nothing_may_be_copied_the_link_is_shown(visit):
    here = visit("?hide=map#x=0.7", **QUIET)
    here("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")
    here.page.click("#copy")
    here.until("!document.getElementById('link').hidden")
    assert "&x=0.7&" in here.page.locator("#link").input_value()
    assert here("getSelection().toString()") == here.page.locator("#link").input_value()


@pytest.mark.parametrize("hash, size", [("", (1200, 900)), ("#x=1.1", (1200, 900)), ("#dim=9&view=pair", (1200, 900))])
def test_a_picture_is_saved(visit, hash, size):
    here = visit(hash, **QUIET)
    here("clopsim.step(15)")
    with here.page.expect_download() as download:
        here.page.click("#save")
    assert download.value.suggested_filename == "clopsim-lab.png"
    with open(download.value.path(), "rb") as file:
        picture = Image.open(io.BytesIO(file.read())).convert("RGB")
    assert picture.width == size[0]
    assert picture.height > size[1]
    assert len(picture.crop((0, 90, 1200, 570)).resize((300, 120)).getcolors(36_000)) > 50  # the spheres are on it


PARTS = {
    "title": "h1", "tour": "nav", "text": "#theory", "charts": "#plot-R", "map": "#map", "tools": "#copy",
    "settings": "#settings", "footer": "footer",
}  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_hidden(visit, part):
    here = visit(f"?hide={part}#view=one", **QUIET)
    for name, selector in PARTS.items():
        box = here.page.locator(selector).bounding_box()
        assert (box is None or box["width"] <= 1) == (name == part), name
    assert here.page.locator("#sphere").is_visible()
    assert here.page.locator("#open").is_hidden()


def test_an_embedded_page_is_spheres_slider_and_words(visit):
    here = visit("?embed=1#view=pair&x=1&tau=1.2&start=random", viewport={"width": 640, "height": 720}, **QUIET)
    here("clopsim.step(15)")
    for shown in ("#sphere", "#sphere-1", "#x", "#play", "#theory", "#open"):
        assert here.page.locator(shown).is_visible(), shown
    for hidden in ("nav", "#map", "#plot-R", "#copy", "#settings", "footer"):
        assert here.page.locator(hidden).is_hidden(), hidden
    assert here.page.locator("h1").count() == 1  # for who cannot see it
    assert here("document.documentElement.scrollWidth") <= 640
    assert here.page.locator("#open a").get_attribute("href").endswith("lab.html#" + here("clopsim.hash()"))
    assert here.page.workers == []  # no map, nothing computed
    here("clopsim.set({x: 0.5})")
    assert "x=0.5" in here.page.locator("#open a").get_attribute("href")


FILLED = """() => {
    const box = (node) => node.getBoundingClientRect(), root = document.documentElement;
    const names = [".spheres", ".transport", ".timeline", ".rate", ".say", "#legend", "#open"];
    const blocks = names.map((name) => box(document.querySelector(name)));
    const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
    const met = blocks.flatMap((a, i) => names.filter((_, k) => k > i && !apart(a, blocks[k])));
    const balls = [...document.querySelectorAll("figure canvas")].map(box).filter(({ width }) => width);
    return {
        met, balls: balls.map(({ top, width }) => [top, width]), page: [root.scrollWidth, root.scrollHeight],
        filled: blocks.reduce((sum, { width, height }) => sum + width * height, 0) / (innerWidth * innerHeight),
        bottom: Math.max(...blocks.map(({ bottom }) => bottom)),
        right: Math.max(...[...document.querySelectorAll(".say p, .rate .track")].map((node) => box(node).right)),
    };
}"""


@pytest.mark.parametrize("view", ["pair", "one"])
@pytest.mark.parametrize(
    "width, height", [(720, 480), (960, 600), (390, 640), (720, 720), (390, 720), (1280, 720), (640, 720)]
)
def test_an_embedded_page_fills_its_frame_and_needs_no_scrolling(visit, view, width, height):
    link = iframe("lab.html").split('"')[1].partition("?")[2].replace("&amp;", "&").replace("view=pair", f"view={view}")
    here = visit("?" + link, viewport={"width": width, "height": height}, **QUIET)
    here("clopsim.step(12)")
    found = here(FILLED)
    assert found["met"] == []
    assert found["page"] == [width, height]
    assert found["bottom"] == pytest.approx(height, abs=26)
    assert found["right"] > 0.9 * width
    assert found["filled"] > 0.7
    tops, widths = zip(*found["balls"], strict=True)
    assert max(tops) - min(tops) <= 2
    assert {"pair": 0.17, "one": 0.4}[view] * height <= min(widths) <= max(widths) <= 0.85 * height
    for seen in ("#x", "#play", "#badge"):
        assert here.page.locator(seen).is_visible(), seen


@pytest.mark.parametrize(
    "hash, said",
    [
        ("#tau=-5&x=abc&foo=1", "tau and x could not be used (tau = 0.05 and x = 1.08 instead); foo is unknown."),
        ("#n=57&loss=0&stop=99", "n and loss could not be used (n = 58 and loss = merged instead); stop is unknown."),
        ("#tau=nan", "tau could not be used (tau = 1.3 instead)."),
        ("#tau=&v=7", "tau could not be used (tau = 1.3 instead)."),
        ("#stop=2&x=99", "x could not be used (x = 16 instead)."),
        ("#<b>&a=1&" + "z" * 99, "<b>, a and " + "z" * 20 + " are unknown."),
        ("#v=1&tau=0.50&x=1e0&loss=full&stop=2", ""),
        ("#classes=8&dim=3&lambda=1", ""),  # what gives way says so itself
        ("", ""),
    ],
)  # fmt: skip
def test_a_link_that_cannot_be_read_says_so_until_the_first_change(visit, hash, said):
    here = visit(f"?hide=map{hash}", **QUIET)
    line = here.page.locator("#misread")
    said = said and f"The link’s {said}"
    assert line.text_content() == said
    assert line.is_visible() == bool(said)
    here("clopsim.step(3)")
    here.page.wait_for_timeout(300)  # the address follows the settings
    assert line.text_content() == said
    here.page.locator("#x").fill("0.5")
    assert line.text_content() == ""
    here("location.hash = '#x=?'")  # and a link followed in the same tab
    here.until("document.getElementById('misread').textContent.startsWith('The link’s x could')")


@pytest.mark.parametrize(
    "query", ["?hide=", "?hide=all,nonsense,<b>&embed=yes", "?embed=2&hide=,,&wibble", "?%E0%A4%A"]
)
@pytest.mark.parametrize("hash", ["#tau=nan", "#%E0%A4%A", "#x=&=&&", "#stop=-1&view=2&n=1e999&dim=NaN"])
def test_a_wrong_address_never_breaks_the_page(visit, query, hash):
    here = visit(query + hash, **QUIET)
    here("clopsim.step(2)")
    assert here.page.locator("nav").is_visible()
    assert here.page.locator("#map").is_visible()
    assert here.state()["settings"]["tau"] >= 0.05


def test_the_line_for_a_page_of_yours_shows_the_lab_there(browser, tmp_path):
    (tmp_path / "my lab.html").write_text(assemble(), encoding="utf-8")
    (tmp_path / "mine.html").write_text(f"<!doctype html><title>mine</title>{iframe('my lab.html')}", encoding="utf-8")
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 700, "height": 800})
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto((tmp_path / "mine.html").as_uri())
    inside = page.frame_locator("iframe")
    inside.locator("#play").click()
    assert inside.locator("#caption-0").text_content() == "Below: stays spread"
    assert inside.locator("#open").is_visible()
    assert said == []
    context.close()
    assert re.search(r'title="[^"]+"', iframe("lab.html"))  # a frame without a title has no name
