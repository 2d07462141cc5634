"""What the README shows is what the project does."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import figures
from clopsim import cli
from clopsim.audit.ledger import PAPER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\| `clopsim ([^`]*)`", README, flags=re.MULTILINE)


def test_the_first_screen_has_the_two_commands_and_nothing_to_do_before():
    first, second = re.findall(r"```sh\n(.*)\n```", README)[:2]
    assert first.startswith("python3 -m venv .venv")
    assert first.endswith("clopsim sweep")
    assert second.endswith(".venv/bin/pytest")
    assert README.index(second) < 1200


def test_it_says_what_it_is_in_three_sentences():
    first = re.sub(r"\s+", " ", README.split("\n\n")[1])
    assert len(re.findall(r"[.?](?= |$)", first)) == 3


def test_the_loss_in_your_own_loop_is_ten_lines_that_run():
    code = re.search(r"```python\n(import torch\n.*?)```", README, flags=re.DOTALL)
    assert code
    assert len(code[1].splitlines()) == 10
    names: dict = {}
    exec(code[1], names)
    assert names["value"].isfinite()
    assert names["model"].weight.grad.abs().sum() > 0


def test_the_projects_citation_has_its_version():
    assert f"version = {{{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}}}" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_table_runs_and_prints_what_is_shown(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("embeddings.npz", z=np.random.default_rng(0).standard_normal((40, 8)), y=np.arange(40) % 4)
    words = command.split()
    if "FOLDER" in command:  # stands for a run that is not here
        words = [words[0], "--help"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    if command == "sweep":
        shown = re.search(r"```\n(tau .*?)```", README, flags=re.DOTALL)
        assert shown
        assert shown[1] in result.stdout


def test_every_command_is_in_the_table():
    assert {command.split()[0] for command in COMMANDS} == {
        (command.name or command.callback.__name__) for command in cli.app.registered_commands if command.callback
    }


def test_every_file_and_picture_it_names_is_there():
    for name in re.findall(r"\]\(([^)]*)\)|`((?:tests|bounds|figures|clopsim)/[\w/.]*)`", README):
        assert (ROOT / (name[0] or name[1])).exists(), name


def test_the_verdicts_are_those_of_the_ledger():
    shown = dict(re.findall(r"^\| (P\d+): [^|]*\| \**(\w+)\** \|", README, flags=re.MULTILINE))
    assert shown == {claim.identifier: claim.verdict for claim in PAPER}


@pytest.mark.parametrize("name", figures.NAMES)
def test_the_gallery_shows_every_figure_with_its_caption(name):
    assert f"](figures/{name}.png)" in README
    for line in figures.caption(name).splitlines():
        assert line.rstrip(".") in README
