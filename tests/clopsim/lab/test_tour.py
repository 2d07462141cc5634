"""What each stop of the tour asks can be answered on the page, from its preset, by what it offers to try."""

import re

import pytest


@pytest.fixture
def here(lab):
    """The module's page, on which nothing plays."""
    lab("() => { clopsim.pause(); clopsim.visit(null) }")
    return lab


def attempt(here, stop, number):
    """Do what the page does for a try: its settings on top of those that stand, from the start if it says so."""
    wanted = here("([stop, number]) => clopsim.tour[stop].tries[number]", stop, number)
    here("([wanted]) => { clopsim.set(wanted.set); if (wanted.restart) clopsim.reset(); clopsim.pause() }", wanted)
    return wanted


def tried(here, stop, number, steps):
    here("([stop]) => clopsim.visit(stop)", stop)
    attempt(here, stop, number)
    here(f"clopsim.step({steps})")
    return here.state()


def words(here):
    return here.page.locator("#words").text_content()


def test_every_try_names_settings_of_the_page(here):
    for stop in here("clopsim.tour.map((stop) => stop)"):
        assert stop["tries"], stop["name"]
        for one in stop["tries"]:
            assert one["label"]
            assert here("([s]) => settings.valid(s)", one["set"]) == one["set"]


def test_no_rate_holds_the_points_together(here):
    for number in range(3):
        before = tried(here, 0, number, 0)
        assert before["R"] > 0.999
        here("clopsim.step(100)")
        assert here.state()["R"] < 0.1
        assert here.state()["verdict"] == "as predicted"


def test_the_larger_rate_opens_the_cluster_more_slowly(here):
    here("clopsim.visit(1)")
    here("clopsim.step(1)")
    assert here.state()["R"] < 0.2  # a single step blows it apart
    quarter, most = (float(tried(here, 1, k, 5)["R"]) for k in (0, 1))
    assert quarter < 0.9  # to be seen on the sphere and in the table
    assert most > 0.99


def test_the_spot_opens_below_the_bound_and_not_above(here):
    here("clopsim.visit(2)")
    here("clopsim.step(200)")
    assert here.state()["state"] == "point"
    attempt(here, 2, 0)
    here("clopsim.step(100)")
    assert (here.state()["state"], here.state()["verdict"]) == ("point", "as predicted")
    attempt(here, 2, 1)
    assert here.state()["kind"] == "leaving"
    here("clopsim.step(300)")
    assert here.state()["verdict"] == "as predicted"
    assert words(here) == "all points within some 6° of one spot."
    assert here.state()["R"] < 0.995  # in the table and on the sphere


def test_a_temperature_decides_into_what_the_spread_breaks(here):
    for number, degree, lifted, lowered in ((0, 1, True, True), (1, 2, False, True), (2, 4, False, False)):
        before = tried(here, 3, number, 0)
        assert before["thresholds"]["degree"] == degree
        assert 1.05 < before["rate"] / before["thresholds"]["uniform"] < 1.1
        here("clopsim.step(200)")
        state = here.state()
        assert (state["verdict"], state["state"]) == ("as predicted", "between")
        assert (state["R"] > 0.9) == lifted, state["R"]
        assert state["R"] > 0.9 or state["R"] < 0.3
        assert (state["rank"] < 2.8) == lowered, state["rank"]
        assert state["rank"] < 2.8 or state["rank"] > 2.95


def test_the_diamond_stays_at_the_views_rate(here):
    tried(here, 4, 0, 600)
    at, marks = [], {}
    for _ in range(40):
        here("clopsim.step(10)")
        at.append(float(here("document.getElementById('effective').style.left").rstrip("%")))
    for mark in here("[...document.querySelectorAll('.mark')].map((m) => [m.textContent, parseFloat(m.style.left)])"):
        marks[mark[0]] = mark[1]
    mean = sum(at) / len(at)
    nearest = min(marks, key=lambda name: abs(marks[name] - mean))
    assert nearest.endswith("μalign")
    assert abs(marks[nearest] - mean) < 3  # percent of the track


def test_the_large_weight_brings_the_classes_back_and_the_small_one_does_not(here):
    here("clopsim.visit(5)")
    attempt(here, 5, 0)
    here("clopsim.step(60)")
    assert here.state()["state"] == "point"
    attempt(here, 5, 1)
    here("clopsim.step(100)")
    assert here.state()["R"] > 0.98
    assert "T16" in here.page.locator("#theory").text_content()
    assert here.state()["verdict"] == "as predicted"
    attempt(here, 5, 2)
    here("clopsim.step(20)")
    state = here.state()
    assert state["prototype"] > 0.99
    assert "T7" in here.page.locator("#theory").text_content()
    assert (state["state"], state["verdict"]) == ("between", "as predicted")


def test_of_two_kinds_of_prototypes_one_gathers_each_class_and_the_other_does_at_a_larger_weight(here):
    here("clopsim.visit(6)")
    ends = {"simplex": (False, "Below λ* = 3.62 (T18)"), "orthonormal": (True, "Above λ* = 2.97 (T9)")}
    for number, (kind, (gathers, said)) in enumerate(ends.items()):
        attempt(here, 6, number)
        here("clopsim.step(400)")
        state = here.state()
        assert state["settings"]["prototypes"] == kind
        assert words(here).startswith("each class on one point" if gathers else "each point on average at cosine 0.98")
        assert said in here.page.locator("#theory").text_content()
        assert state["verdict"] == "as predicted"
    for number, rank, apart in ((0, 2, "120°"), (1, 2.9, "9.°")):
        attempt(here, 6, number)
        attempt(here, 6, 2)
        here("clopsim.step(400)")
        assert words(here).startswith("each class on one point")
        assert here.state()["rank"] == pytest.approx(rank, abs=0.05)
        assert re.search(f"{apart} from the others", here.page.locator("#theory").text_content())
