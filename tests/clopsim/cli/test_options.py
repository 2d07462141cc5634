"""Options mean the same in every command: one name, one sentence, one kind of value, lists by comma."""

import json
import re
from collections import defaultdict

import pytest
from typer.main import get_command

from clopsim import cli

GROUP = get_command(cli.app)
COMMANDS = {name: GROUP.get_command(None, name) for name in GROUP.commands}
OPTIONS = [
    (name, option)
    for name, command in COMMANDS.items()
    for option in command.params
    if option.param_type_name == "option"
]
LISTS = {"--fail-on", "--format", "--labelled", "--only", "--rate", "--rates", "--tau", "--weight", "--weight-decay"}
"""Options that take several values in some command; those of a training sweep come to it below."""


def by_name():
    found = defaultdict(dict)
    for command, option in OPTIONS:
        found[option.opts[0]][command] = option
    return found


def first_sentence(text):
    return re.split(r"[.;](?=\s|$)", text)[0]


def kind(metavar):
    """What is taken: a list of it is the same kind, and spelt-out choices are one kind too."""
    if metavar is None:
        return None
    one = metavar.removesuffix(",...")
    return "CHOICE" if "|" in one or one in ("DATA", "LOSS") else one


@pytest.mark.parametrize("name", [name for name, commands in by_name().items() if len(commands) > 1])
def test_an_option_means_the_same_in_every_command(name):
    commands = by_name()[name]
    if name == "--out":  # the lab writes one file, all others a folder
        lab = commands.pop("lab")
        assert lab.metavar == "FILE"
    assert len({first_sentence(option.help) for option in commands.values()}) == 1, commands
    assert len({kind(option.metavar) for option in commands.values()}) == 1, commands


def test_every_option_says_what_it_takes():
    for command, option in OPTIONS:
        assert option.help, (command, option.opts)
        assert bool(option.metavar) != option.is_flag, (command, option.opts)


def test_a_list_is_given_by_comma_or_again_and_says_so():
    for command, option in OPTIONS:
        several = option.type_descriptor.is_list if hasattr(option, "type_descriptor") else option.multiple
        if option.opts[0] == "--fail-on":  # a string in Python too
            several = True
        assert several == option.metavar.endswith(",...") if option.metavar else not several, (command, option.opts)
    found = {option.opts[0] for _, option in OPTIONS if (option.metavar or "").endswith(",...")}
    assert found == LISTS | {"--batch", "--loss"}


def test_rates_are_told_apart_by_their_unit():
    rates = {command: option.metavar for command, option in by_name()["--rate"].items()}
    assert rates == {"train": "LR", "train-sweep": "LR,..."}
    assert by_name()["--rates"]["sweep"].metavar == "MU_C,..."


def test_pictures_folders_and_files_have_an_option_each():
    assert set(by_name()["--figure"]) == {"card", "inspect", "show"}
    assert {option.metavar for option in by_name()["--figure"].values()} == {"PICTURE"}
    assert set(by_name()["--classes"]) == {"bounds", "card", "train", "train-sweep"}
    assert set(by_name()["--clusters"]) == {"sweep"}


def test_sweep_lists_the_embedder_and_becomes_a_training_sweep(clopsim):
    assert "--embedder" in clopsim("sweep", "--help").stdout
    assert "--weight-decay" in clopsim("sweep", "--embedder", "mlp", "--help").stdout


@pytest.mark.parametrize("words", (["--tau", "0.2,0.5"], ["--tau", "0.2", "--tau", "0.5"], ["--tau", "0.2, 0.5"]))
def test_bounds_and_threshold_take_several_temperatures(clopsim, words):
    text = clopsim("bounds", *words).stdout
    assert text.startswith("tau = 0.2: Complete collapse attracts above 0.206667;")
    assert "\n\n\ntau = 0.5: Complete collapse attracts above 0.516667;" in text
    rates = json.loads(clopsim("bounds", *words, "--json").stdout)["rates"]
    alone = json.loads(clopsim("bounds", "--tau", "0.5", "--json").stdout)
    assert rates[1] == {"temperature": 0.5, **alone}
    done = clopsim("threshold", "collapse", "--samples", 8, "--seeds", 1, *words)
    assert done.exit_code == 0
    assert len(re.findall(r"^0\.[25]  complete collapse attracts .* holds$", done.stdout, re.MULTILINE)) == 2


@pytest.mark.parametrize(
    "words, message",
    [
        ("bounds --tau 0.5,", "--tau must hold"),
        ("bounds --tau 0.5,0.5", "--tau must hold each value once, got 0.5,0.5;"),
        ("bounds --tau 0.5 --tau 0.5", "--tau must hold each value once"),
        ("threshold collapse --tau 0.5,x", "--tau must be numbers separated by commas, got '0.5,x'; write them as in"),
        ("threshold collapse --bracket 1", "--bracket must be in [1e-09, 1), got 1.0;"),
        ("train-sweep --batch 1,x", "--batch must be whole numbers separated by commas, got '1,x'; write them as in 8"),
    ],
)  # fmt: skip
def test_a_wrong_list_is_refused_in_a_line(clopsim, words, message):
    done = clopsim(*words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    "line, message",
    [
        ("verify T29", "verify takes options alone, got 'T29'; name it, as in --only T29"),
        ("verify --only T6 T29", "verify takes options alone, got 'T29'; name it, as in --only T29"),
        ("sweep 0.5 more", "sweep takes options alone, got '0.5'; name it, as in --tau 0.5"),
        ("threshold uniform 0.5", "threshold takes KIND and options alone, got '0.5'; name it, as in --tau 0.5"),
        ("runs a b", "runs takes FOLDER and options alone, got 'b'; clopsim runs --help"),
        ("card infonce --tau 0.2,0.5", "--tau takes one number here, got '0.2,0.5'; run the command once for each"),
        ("train --tau 0.2,0.5", "--tau takes one number here, got '0.2,0.5'; run the command once for each"),
        ("train --dim 4,8", "--dim takes one number here, got '4,8'; run the command once for each"),
        ("train --tau 0.2,x", "--tau must be a number, got '0.2,x'; write it as in 0.5"),
    ],
)
def test_what_has_no_option_or_is_too_many_values_is_told_how_to_be_given(clopsim, line, message):
    result = clopsim(*line.split())
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"clopsim: {message}")
