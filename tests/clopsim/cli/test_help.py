"""Every --help at 80 columns: what a run folder will hold, two examples that parse; the version and the completion."""

import os
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from clopsim import cli
from clopsim.cli.examples import EXAMPLES, LEAVES

NAMES = [command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback]


def test_every_command_has_two_examples():
    assert set(EXAMPLES) == set(NAMES)
    assert set(LEAVES) < set(NAMES)
    assert all(len(examples) == 2 for examples in EXAMPLES.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_parse_and_end_the_help(clopsim, parse, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    text = clopsim(name, "--help").stdout
    assert all(len(line) <= 80 for line in text.splitlines())
    ending = [line.strip() for line in text[text.rindex("╰") :].splitlines() if line.strip()][-5:]
    expected = ["Examples"]
    for what, line in EXAMPLES[name]:
        expected += [f"# {what}", line]
        assert parse(line) == name
    assert ending == expected
    words = " ".join(text.split())
    assert re.sub(r"\s", "", LEAVES.get(name, "")) in re.sub(r"\s", "", words)


def test_help_flows_at_any_width(clopsim, monkeypatch):
    """A paragraph's lines are filled, so no line of the file ends in the middle of the screen."""
    monkeypatch.setenv("COLUMNS", "80")
    for name in NAMES:
        head, _, _ = clopsim(name, "--help").stdout.partition("╭")
        for paragraph in re.split(r"\n *\n", head)[2:]:
            lines = [line.strip() for line in paragraph.splitlines()]
            for line, after in pairwise(lines):
                assert not after or len(line) + 1 + len(after.split()[0]) > 78, (name, line)


def test_an_example_with_an_option_that_is_none_is_noticed(parse):
    with pytest.raises(Exception, match="No such option: --nonsense"):
        parse("clopsim sweep --nonsense 3")


def test_the_version_is_that_of_the_project(clopsim):
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    done = clopsim("--version")
    assert (done.exit_code, done.stdout) == (0, f"clopsim {project['version']}\n")


def test_a_shell_completes_the_commands():
    """As the script of --install-completion asks for them."""
    code = "import sys; sys.argv = ['clopsim']; from clopsim.cli import main; main()"
    asked = {"_CLOPSIM_COMPLETE": "complete_bash", "COMP_WORDS": "clopsim tr", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["train", "train-sweep"]


def test_a_switch_that_is_on_is_shown_by_the_name_that_puts_it_off(clopsim, parse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for _ in range(2):  # both names are there again after the first --help
        text = clopsim("train", "--help").stdout
        assert re.search(r"│ --no-batch-norm +Leave out", text)
        assert "--batch-norm" not in text.replace("--no-batch-norm", "")
        assert parse("clopsim train --batch-norm --sharpness") == "train"


@pytest.mark.parametrize("name", ["train", "train-sweep", "sweep", "bounds"])
def test_many_choices_stand_in_the_help_where_no_word_is_cut(clopsim, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    lines = clopsim(name, "--help").stdout.splitlines()
    column = [line[1:].rstrip("│ ") for line in lines if re.match(r"│ +\S", line) and not line.startswith("│ --")]
    words = clopsim(name, "--help").stdout
    assert not any(re.search(r"\w\|$", line) for line in column)
    flat = " ".join(re.sub(r"[│\s]+", " ", words).split())
    assert "One of " in flat
    assert min(len(line) - len(line.lstrip()) for line in column) > 20  # no second line before the helps' column
