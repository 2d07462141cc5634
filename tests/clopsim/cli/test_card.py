"""`clopsim card` as somebody with a loss of their own meets it."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import clopsim as front
from clopsim.show import card_picture

MINE = '''import torch


def my_loss(cosines):
    """Views pull, all rows push."""
    pull = cosines.roll(len(cosines) // 2, dims=0).diagonal().mean()
    print("a word of its own")
    return cosines.exp().mean() - pull
'''
SMALL = ("--samples", 6, "--dim", 3, "--classes", 3)


@pytest.fixture
def mine(clopsim):
    Path("mine.py").write_text(MINE)
    return clopsim


def test_five_lines_of_somebodys_get_a_page(mine):
    done = mine("card", "mine.py:my_loss", *SMALL)
    assert done.exit_code == 0, done.output
    text = done.stdout
    assert text.startswith(
        "Complete collapse attracts above 8.35327 (ambient), at no rate (tangent). 21\ncritical rates"
    )
    assert "\n\nmy_loss: Views pull, all rows push.\nn = 6 rows, 3 classes, d = 3." in text
    assert "a word of its own" not in text
    for part in ("COMPLETE COLLAPSE: loss ", "THE ANTIPODAL LINE", "3 CLASSES ON A SIMPLEX", "WHERE RUNS END",
                 "ORTHONORMAL PROTOTYPES", "every one is where it was predicted."):  # fmt: skip
        assert part in " ".join(text.split()), part
    assert len(text.splitlines()) <= 75
    assert max(map(len, text.splitlines())) <= 80


def test_json_is_one_document_with_the_agreed_keys(mine):
    done = mine("card", "mine.py:my_loss", *SMALL, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert list(document) == [
        "loss", "formula", "reduction", "temperature", "rows", "dimension", "classes", "views", "form",
        "form_in_words", "reads_own_cosine", "noise", "cosines_only", "turned", "stationary", "states", "rates",
        "runs", "prototypes", "holds",
    ]  # fmt: skip
    assert [state["name"] for state in document["states"]] == [
        "collapse", "line", "simplex", "orthonormal", "optimum",
    ]  # fmt: skip
    for state in document["states"]:
        assert list(state) == [
            "name", "title", "loss", "effective_rank", "residual", "pull", "pulls", "levels", "turns", "flat", "kind",
            "attracts", "trouble", "same_as",
        ]  # fmt: skip
        count = sum(level["multiplicity"] for level in state["levels"])
        assert count == (6 * (3 - 1) if state["levels"] else 0)
    for rate in document["rates"]:
        assert list(rate) == [
            "state", "gradient", "curvature", "multiplicity", "rate", "side", "why", "checks", "holds",
        ]  # fmt: skip
        assert (rate["rate"] is None) == (rate["why"] is not None) == (not rate["checks"])
        for check in rate["checks"]:
            assert check["agrees"]
            assert (check["observed"] < 1) == check["stable"] == ((check["at"] < 1) == (rate["side"] == "below"))
    assert len(document["runs"]["multiples"]) == 10
    assert [(end["gradient"], end["start"]) for end in document["runs"]["ends"]] == [
        (gradient, start) for gradient in ("ambient", "tangent") for start in ("near collapse", "random")
    ]
    assert document["holds"] is True


def test_the_function_gives_what_the_command_prints(mine):
    done = mine("card", "merged", "--samples", 5, "--dim", 3, "--tau", 0.2)
    found = front.card("merged", samples=5, dim=3, tau=0.2)
    assert done.stdout == f"{found}\n"
    with pytest.raises(ValueError, match="state must be one of collapse, line, optimum, got 'point'"):
        found.spectrum("point")
    assert isinstance(found.plot(), Figure)


def test_a_picture_is_drawn_where_it_is_wanted(mine):
    done = mine("card", "infonce", *SMALL, "--figure", "card.png")
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("Drawn in card.png\n")
    assert Path("card.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_shows_every_state_and_every_critical_rate_of_one():
    document = front.card("merged", samples=6, dim=3, classes=3).to_dict()
    figure = card_picture.draw_card(document)
    spectra, factors, ambient, tangent = figure.axes
    shown = [label.get_text() for label in spectra.get_yticklabels()]
    assert shown == ["its own optimum", "classes on a simplex", "antipodal line", "complete collapse"]
    lines = [line.get_label() for line in ambient.get_lines()]
    assert "complete collapse attracts above 0.625" in lines
    assert not [label for label in (line.get_label() for line in tangent.get_lines()) if "collapse attracts" in label]
    seen = [line for line in factors.get_lines() if line.get_label().startswith("at ")]
    assert [len(line.get_xdata()) for line in seen] == 2 * [sum(bool(rate["checks"]) for rate in document["rates"])]


@pytest.mark.parametrize(
    "words, message",
    (
        (("nothing",), "LOSS must be merged, infonce, "),
        (("mine.py",), "LOSS must name a loss in the file, got 'mine.py'; write mine.py:NAME"),
        (("mine.py:other",), "LOSS must be in 'mine.py', got 'other'; it has my_loss"),
        (("gone.py:loss",), "LOSS must be in a file that is there, got 'gone.py'"),
        (("infonce", "--tau", 0), "--tau must be a finite number > 0"),
        (("mine.py:my_loss", "--tau", 1), "--tau must be left out for a loss of yours"),
        (("infonce", "--samples", 5, "--classes", 2), "--classes must divide the number of samples, got 2 for 5"),
        (("infonce", "--dim", 1), "--dim must be a whole number >= 2"),
        (("infonce", "--samples", 9999), "--samples must keep rows x dimension <= 2048"),
        (("infonce", "--figure", "card.gif"), "--figure must end in .png, .pdf, .svg"),
        (("infonce", "--figure", "nowhere/card.png"), "--figure must be writable"),
    ),
)
def test_wrong_input_is_one_plain_line(mine, words, message):
    done = mine("card", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"clopsim: {message}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_loss_that_breaks_somewhere_gets_a_sentence_there(mine):
    """Fine at random rows, an error at collapse: it is named with its line, and the rest of the card stands."""
    Path("mine.py").write_text(
        "def my_loss(cosines):\n    if cosines.min() > 0.999:\n        raise ArithmeticError('too near')\n"
        "    return cosines.exp().sum()\n"
    )
    done = mine("card", "mine.py:my_loss", *SMALL)
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "COMPLETE COLLAPSE: The loss breaks there: ArithmeticError in line 3 of" in text
    assert "mine.py: too near." in text
    assert "THE ANTIPODAL LINE (HALF THE ROWS AT EACH END): loss " in text
    end = [line for line in done.stdout.splitlines() if line.startswith("ambient  collapse")]
    assert "-" in end[0].split()[2:]  # no rank where the run came too near
