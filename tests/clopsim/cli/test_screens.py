"""Every command in a terminal of 80 columns: it fits, opens with the verdict, and is plain where it must be."""

import os
import re
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests import wrong

pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))

QUICK = ("bounds", "threshold", "inspect", "runs", "show", "verify")

PATIENCE = 900.0
"""Seconds until a child that hangs is killed."""

CHILD = """
import os, pathlib
from tests import wrong
from clopsim import cli
wrong.prepare(pathlib.Path())
for turn, (variables, names) in enumerate({turns}):
    os.environ.update(variables)
    for name in names:
        line = wrong.BASE[name]
        for place in ("new", "whole", "notebooks", "page.html"):
            line = line.replace(f"--out {{place}}", f"--out {{turn}}{{name}}{{place}}")
        print(f"@@{{turn}} {{name}}", flush=True)
        try:
            cli.app([name, *line.split()], standalone_mode=False)
        except SystemExit:
            pass
"""

OPENS = {
    "bounds": r"Complete collapse attracts above 0\.516667; an even spread",
    "card": r"Complete collapse attracts ",
    "inspect": r"NONE: ",
    "merge": r"The bound holds \(tolerance 1 %\)\.",
    "runs": r"folder +state +setting +date",
    "show": r"The bound holds \(tolerance 1 %\)\.",
    "sweep": r"The bound holds \(tolerance 1 %\)\.",
    "threshold": r"The theory holds \(tolerance 5 %\)\.",
    "train": r"Verdict: ",
    "train-sweep": r"\d combinations? trained\.",
    "verify": r"Every recorded verdict is supported: ",
    "zoo": r"\d claims: ",
}
"""The first words of a report."""


def screens(tmp_path, columns, turns):
    """What a terminal of so many columns shows, by turn and command."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TTY_COMPATIBLE")}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(turns=turns)],
        cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave,
        env={**kept, "TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    os.close(slave)
    patience = threading.Timer(PATIENCE, child.kill)
    patience.start()
    text = b""
    with suppress(OSError), open(master, "rb", buffering=0) as screen:  # the error: the other end is closed
        while part := screen.read(2**16):
            text += part
    status = child.wait()
    patience.cancel()
    assert status == 0, text.decode()[-2000:]
    parts = re.split(r"@@(\d) (\S+)\r\n", text.decode())[1:]
    return {(int(turn), name): shown for turn, name, shown in zip(*[iter(parts)] * 3, strict=True)}


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_every_screen_of_a_terminal_fits_and_opens_with_what_was_found(tmp_path):
    names = [name for name in wrong.BASE if name != "figures"]
    turns = [({}, names), ({"NO_COLOR": "1"}, QUICK), ({"NO_COLOR": "", "TERM": "dumb"}, QUICK)]
    shown = screens(tmp_path, 80, turns)
    assert len(shown) == len(names) + 2 * len(QUICK)
    for (turn, name), text in shown.items():
        for line in re.split(r"[\r\n]+", plain(text)):
            assert len(line) <= 80 or " " not in line, (name, line)  # a path is not broken
        report = plain(re.split(r"\x1b\[2K", text)[-1])  # after the bar
        assert re.match(OPENS.get(name, ""), report), (turn, name, report)
        if turn == 0 and name in OPENS:
            assert "\x1b[1" in text, name
        if turn == 1:
            assert not re.search(r"\x1b\[[0-9;]*m", text), (name, text)
        if turn == 2:
            assert "\x1b" not in text, (name, text)


def test_a_wide_terminal_is_used(tmp_path):
    shown = screens(tmp_path, 200, [({}, ("bounds",))])
    longest = max(len(line) for line in plain(shown[0, "bounds"]).splitlines())
    assert 80 < longest <= 120
