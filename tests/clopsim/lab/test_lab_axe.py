"""What axe-core finds on the page in its main states: nothing against WCAG 2 A and AA or against good practice."""

import pytest

from tests.browser import violations

STATES = {
    "both sides of the line": "", "one sphere": "#view=one", "a stop of the tour": "#stop=6",
    "a network": "#network=on", "a pair of networks": "#network=on&view=pair", "classes": "#loss=supcon",
    "prototypes": "#lambda=3", "sixteen dimensions": "#dim=16", "a free norm": "#gradient=free&decay=0.1",
    "views apart": "#loss=full&tau=1&x=8", "embedded": "?embed=1#view=pair&x=1&tau=1.2",
    "a loss of the zoo": "#loss=simo", "eight classes": "#lambda=3&classes=8&dim=8&prototypes=simplex",
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(visit, address, scheme, width):
    here = visit(reduced_motion="reduce", color_scheme=scheme, viewport={"width": width, "height": 844})
    for state, link in STATES.items():
        here.page.goto("about:blank")
        here.page.goto(address + link)
        here("document.getElementById('settings').open = true; clopsim.step(20)")
        assert violations(here.page) == [], state
        here("document.getElementById('x').style.visibility = 'hidden'")  # it lies over the words of the track
        assert violations(here.page, include=[".track"]) == [], state


def test_axe_finds_what_is_wrong(visit):
    here = visit(reduced_motion="reduce")
    here("document.getElementById('sphere').removeAttribute('aria-label')")
    here("document.querySelector('.lead').style.color = '#999'")
    here("document.querySelector('.word').style.color = '#777'")
    here("document.getElementById('x').style.visibility = 'hidden'")
    found = " ".join(violations(here.page))
    for rule in ("role-img-alt: #sphere", "color-contrast: .lead", "color-contrast: .even"):
        assert rule in found, found
