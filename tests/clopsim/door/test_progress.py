"""Progress: a bar in a terminal, a line a minute in a log, nothing of a short run."""

import itertools
import re
import sys

import pytest

from clopsim.door import progress as subject


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock is half a minute later."""
    ticks = itertools.count(0, 30)
    monkeypatch.setattr(subject, "monotonic", lambda: float(next(ticks)))


def test_a_log_gets_a_line_a_minute(clock, capsys):
    with subject.progress("sweep") as advance:
        for k in range(12):
            advance(k / 12, f"{k} cells/s")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[0] == "clopsim: sweep 8 %, 0:01:00, 1 cells/s"
    assert all(re.fullmatch(r"clopsim: sweep \d+ %, \d:\d\d:\d\d, \d+ cells/s", line) for line in lines)


def test_a_short_run_without_a_terminal_says_nothing(capsys):
    with subject.progress("sweep") as advance:
        for k in range(1000):
            advance(k / 1000)
    assert capsys.readouterr() == ("", "")


def terminal(monkeypatch, term):
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_a_terminal_gets_a_bar_that_goes_when_it_is_done(monkeypatch, capsys):
    terminal(monkeypatch, "xterm-256color")
    with subject.progress("sweep") as advance:
        advance(0.5, "7 [cells]/s")
        advance(1.5)
    out, errors = capsys.readouterr()
    assert out == ""
    assert "sweep" in errors
    assert "100 %" in errors
    assert errors.endswith("\x1b[1A\x1b[2K")  # the line above is erased


def test_a_dumb_terminal_gets_the_lines_of_a_log(monkeypatch, clock, capsys):
    terminal(monkeypatch, "dumb")
    with subject.progress("sweep") as advance:
        for _ in range(3):
            advance(0.5)
    assert capsys.readouterr().err == "clopsim: sweep 50 %, 0:01:00\n"
