"""Pages fit the terminal, and have colours only where one can show them."""

import os
import sys

import pytest

from clopsim.show import page

HEAD = ("tau", "above which rate", "gap", "verdict")
ROW = ("0.5", "complete collapse attracts", "-0.004 %", "holds")


def test_a_table_breaks_its_widest_column_and_no_number():
    assert page.table(HEAD, [ROW]).splitlines()[-1].split("  ") == list(ROW)
    long = (*ROW[:1], "of all states of the embeddings " * 4, *ROW[2:])
    lines = page.table(HEAD, [long]).splitlines()
    assert max(map(len, lines)) <= page.WIDTH
    assert lines[2].startswith("0.5  of all states")
    assert lines[2].endswith("  -0.004 %  holds")
    assert set(lines[1]) == {"-"}
    assert len(lines) > 4


def test_a_long_word_is_folded_in_a_table_and_kept_in_a_paragraph():
    path = "runs/" + "a" * 100
    assert page.filled(f"Written to {path}").split("\n") == ["Written to", path]
    lines = page.table(("folder", "state"), [(path, "complete")]).splitlines()
    assert max(map(len, lines)) <= page.WIDTH
    assert "".join(line.split("  ")[0] for line in lines[2:]) == path


def test_wide_letters_and_control_characters_keep_the_columns():
    lines = page.table(("name", "value"), [("漢字", "1"), ("a\nb\x1b", "2"), ("[red]x :smile:", "3")]).splitlines()
    assert lines[2] == "漢字            1"
    assert lines[3] == r"a\nb\x1b        2"
    assert lines[4] == "[red]x :smile:  3"


@pytest.mark.parametrize(
    "columns, used", [(30, page.NARROWEST), (80, 80), (100, 100), (200, page.WIDEST)]
)  # fmt: skip
def test_the_width_is_the_terminal_s_within_bounds(monkeypatch, columns, used):
    assert page.width() == page.WIDTH
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert page.width() == used


REPORT = "The bound holds (tolerance 1 %). More.\n\n" + page.table(HEAD, [ROW, (*ROW[:3], "FAILS")])


@pytest.mark.parametrize("good, style", [(True, "bold green"), (False, "bold red"), (None, "bold")])
def test_the_first_sentence_and_the_verdicts_are_coloured(good, style):
    spans = {
        (str(span.style), page.coloured(REPORT, good=good).plain[span.start : span.end])
        for span in page.coloured(REPORT, good=good).spans
    }
    assert (style, "The bound holds (tolerance 1 %).") in spans
    assert {("green", "holds"), ("bold red", "FAILS"), ("bold", REPORT.split("\n")[2])} < spans
    assert not any(text == "holds (tolerance" for _, text in spans)


def test_words_are_no_verdicts_outside_a_table_s_cells():
    text = "An even spread holds at every rate."
    assert [str(span.style) for span in page.coloured(text, good=None).spans] == ["bold"]


@pytest.mark.parametrize(
    "variables, colours",
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_has_colours_unless_it_is_told_not_to(monkeypatch, capsys, variables, colours):
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    page.show(REPORT, good=True)
    shown = capsys.readouterr().out
    assert ("\x1b[1;32mThe bound holds" in shown) == colours
    assert colours or shown == REPORT + "\n"


def test_a_pipe_is_plain(monkeypatch, capsys):
    monkeypatch.setitem(os.environ, "TERM", "xterm-256color")
    page.show(REPORT, good=False)
    assert capsys.readouterr().out == REPORT + "\n"
