"""What the documents show is what the project does: the README, the guide, the gallery, how to test."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

import clopsim
from clopsim import cli, figures
from clopsim.audit.ledger import PAPER
from clopsim.cli.examples import LEAVES

ROOT = Path(__file__).parent.parent
NAMES = ("README.md", "clopsim/README.md", "figures/README.md", "tests/README.md")
TEXTS = {name: (ROOT / name).read_text() for name in NAMES}
README, GUIDE, GALLERY, _ = TEXTS.values()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

COMMANDS = [
    command for text in TEXTS.values() for command in re.findall(r"^\| `clopsim ([^`]*)`", text, flags=re.MULTILINE)
]
"""Those of the tables, which are run."""

KNOWN = [command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback]
LINES = sorted({
    line for text in TEXTS.values() for line in re.findall(rf"\bclopsim (?:{'|'.join(KNOWN)})\b[^`\n]*", text)
})  # fmt: skip
"""Every command in a text or a block."""


def test_the_first_screen_has_the_two_commands_and_nothing_to_do_before():
    first, second = re.findall(r"```sh\n(.*)\n```", README)[:2]
    assert first.startswith("python3 -m venv .venv")
    assert first.endswith("clopsim sweep")
    assert second.endswith(".venv/bin/pytest")
    assert README.index(second) < 1200


def test_it_says_what_it_is_in_three_sentences_and_all_in_three_screens():
    first = re.sub(r"\s+", " ", README.split("\n\n")[1])
    assert len(re.findall(r"[.?](?= |$)", first)) == 3
    assert len(README.splitlines()) <= 160


def test_the_loss_and_the_monitor_in_your_own_loop_are_ten_lines_and_three_that_run():
    code = re.search(r"```python\n(import torch, clopsim\n.*?)```", README, flags=re.DOTALL)
    assert code
    lines = code[1].splitlines()
    assert len([line for line in lines if line]) == 12  # the first is of both
    assert len([line for line in lines if "monitor" in line.lower() or line.endswith(", clopsim")]) == 3
    names: dict = {}
    exec(code[1], names)
    assert names["monitor"].state_dict()["steps"] == 10
    assert names["monitor"].verdict is not None
    assert names["value"].isfinite()
    assert names["model"].weight.grad.abs().sum() > 0


def test_the_numbers_for_the_learning_rate_are_asked_as_the_guide_says():
    code = re.search(r"```python\n(found = clopsim.stable_rate.*?)```", GUIDE, flags=re.DOTALL)
    assert code
    model = torch.nn.Linear(6, 4)
    batches = [tuple(torch.randn(2, 20, 6))] * 2
    names = {
        "clopsim": clopsim, "model": model, "loss": clopsim.losses.info_nce, "batches": batches, "loader": batches,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }  # fmt: skip
    exec(code[1], names)
    assert names["found"].rate > 0


def test_a_loader_makes_views_as_the_guide_says():
    code = re.search(r"```python\n(def views.*?)```", GUIDE, flags=re.DOTALL)
    assert code
    data = torch.utils.data.TensorDataset(torch.randn(512, 6), torch.arange(512) % 3)
    names = {"torch": torch, "data": data, "augment": lambda x: x + 0.1 * torch.randn_like(x)}
    exec(code[1], names)
    found = clopsim.rate_test(torch.nn.Linear(6, 4), clopsim.losses.supcon, names["loader"], steps=10)
    assert len(found.loss) == 10
    assert clopsim.stable_rate(torch.nn.Linear(6, 4), clopsim.losses.supcon, names["loader"]).rate > 0


def test_a_queue_is_kept_and_watched_as_the_guide_says():
    code = re.search(r"```python\n(queue = .*?)```", GUIDE, flags=re.DOTALL)
    assert code
    model, slow_model = torch.nn.Linear(6, 16), torch.nn.Linear(6, 16)
    names = {
        "torch": torch, "clopsim": clopsim, "model": model, "slow_model": slow_model,
        "loader": list(torch.randn(3, 2, 20, 6)), "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }  # fmt: skip
    exec(code[1], names)
    assert names["monitor"].verdict is not None
    assert names["queue"].shape == (4096, 16)
    assert torch.equal(names["queue"][:20], names["keys"])
    torch.nn.init.zeros_(slow_model.weight)  # all keys become one
    names["queue"] = slow_model(torch.zeros(4096, 6)).detach()
    point = names["queue"][:20]
    assert float(names["loss"](point, point)) == pytest.approx(np.log(4097), rel=1e-6)
    found = clopsim.Monitor(names["loss"])(point, point)
    assert found["loss_over_collapse"] == pytest.approx(1, rel=1e-5)


def test_vectors_of_ones_own_for_more_classes_than_dimensions_are_those_of_clop():
    code = re.search(
        r"```python\n(from clopsim.losses import info_nce, prototype_term\n.*?)```", GUIDE, flags=re.DOTALL
    )
    assert code
    names = {"torch": torch}
    exec(code[1], names)
    first, second = torch.randn(2, 6, 128)
    assert names["loss"](first, second, torch.arange(994, 1000)).isfinite()
    prototypes = clopsim.OrthonormalPrototypes(3, 128)
    names["vectors"], labels = prototypes.vectors, torch.tensor([0, 1, 2, 2, -1, 0])
    clop = clopsim.CLOP(clopsim.losses.info_nce, prototypes, weight=1.0)
    torch.testing.assert_close(names["loss"](first, second, labels), clop(first, second, labels))


def test_a_students_model_is_inspected_in_the_two_steps_of_the_readme(clopsim):
    """From a model and a loader of theirs; a few dead directions are seen."""
    code = re.search(r"```python\n(import numpy as np\n.*?)```", README, flags=re.DOTALL)
    assert code
    model = torch.nn.Linear(6, 8)
    torch.nn.init.orthogonal_(model.weight)
    with torch.no_grad():
        model.bias.zero_()
        model.weight[2:] = 0
    loader = [(torch.randn(50, 6), torch.arange(50) % 4) for _ in range(3)]
    exec(code[1], {"model": model, "loader": loader})
    with np.load("embeddings.npz") as stored:
        assert stored["z"].shape == (150, 8)
    done = clopsim("inspect", "embeddings.npz", "--labels", "y")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("DIMENSIONAL")


def test_the_notebook_of_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(import clopsim\n.*?)```", GUIDE, flags=re.DOTALL)
    assert code
    names: dict = {}
    exec(code[1], names)
    assert names["found"].holds
    assert names["report"].verdict in names["report"].report().lower()
    sizes = names["found"].dataset.sizes
    assert len(names["table"]) == sizes["temperature"] * sizes["rate"] * sizes["seed"] * sizes["step"]
    packages = re.search(
        r"```python\n(from pathlib import Path\n\nfrom clopsim import figures.*?)```", GUIDE, flags=re.DOTALL
    )
    assert packages
    *lines, listed = packages[1].strip().splitlines()
    exec("\n".join(lines), names)
    assert Path("lab.html").stat().st_size
    assert [run.state for run in eval(listed, names)] == ["complete"]


def test_the_sample_report_is_what_its_commands_print(clopsim):
    """Word for word, digits aside: the network is dead whatever the rounding, its last digits are not the same."""
    train, inspect = (re.search(rf"`(clopsim {name} [^`]*run[^`]*)`", README)[1] for name in ("train", "inspect"))
    assert clopsim(*train.split()[1:]).exit_code == 0
    printed = clopsim(*inspect.split()[1:]).stdout
    shown = re.search(r"```\n(COMPLETE.*?)```", README, flags=re.DOTALL)
    assert shown
    lines = {words_of(line) for line in printed.splitlines()}
    for line in shown[1].splitlines():
        assert words_of(line) in lines, line
    assert printed.splitlines()[0] == shown[1].splitlines()[0]


def test_the_card_of_the_guide_is_what_its_command_prints(clopsim):
    code = re.search(r"```python\n# (my_losses.py)\n(.*?)```", GUIDE, flags=re.DOTALL)
    command = re.search(r"`clopsim (card my_losses[^`]*)`", GUIDE)
    shown = re.search(r"```\n(Complete collapse .*?)```", GUIDE, flags=re.DOTALL)
    assert code
    assert command
    assert shown
    Path(code[1]).write_text(code[2])
    printed = clopsim(*command[1].split()).stdout
    for part in shown[1].strip().split("\n\n"):
        assert part in printed, part


def test_the_closed_forms_of_the_guide_give_its_numbers():
    code = re.search(r"```python\n(from clopsim.bounds import\n?.*?)```", GUIDE, flags=re.DOTALL)
    assert code
    names: dict = {}
    exec(code[1], names)
    shown = dict(re.findall(r"^(tangent|ambient|immune|line) = .*# ([\d.]+)", code[1], flags=re.MULTILINE))
    assert len(shown) == 4
    for name, value in shown.items():
        assert names[name] == pytest.approx(float(value), rel=1e-4)
    assert names["state"].highest.name == "spread, parallel"
    assert (names["ways"], names["lost"]) == (5, pytest.approx(0.625))


def words_of(line):
    """A line of a table without the values in its second column and the width of its columns."""
    name, *rest = re.split(r" {2,}", line)
    return (name, *rest[1:])


def test_every_verdict_of_inspect_has_its_next_step():
    told = re.sub(r"\s+", " ", cli.inspect.__doc__).split("Verdicts: ")[1]  # complete (one point), line, ...
    table = README.split("| verdict |")[1].split("\n\n")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE) == re.findall(r"(\w+)(?: \([^)]*\))?[,.]", told)


def test_the_version_is_everywhere_the_same():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == VERSION
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert f"\n## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()
    for paper in citation["references"]:
        assert paper["url"].rsplit("/")[-1] in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_a_table_runs_and_prints_what_is_shown(command, tmp_path, monkeypatch):
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


@pytest.mark.parametrize("line", LINES)
def test_every_command_of_a_text_is_one_that_clopsim_takes(line, parse):
    parse(line.replace("$SLURM_ARRAY_TASK_ID", "7"))


def test_every_command_is_in_the_table():
    assert {command.split()[0] for command in COMMANDS} == {*KNOWN}


@pytest.mark.parametrize("name", [*NAMES, "CHANGELOG.md"])
def test_every_link_file_and_heading_is_there(name):
    text, here = (ROOT / name).read_text(), (ROOT / name).parent
    for target in re.findall(r"\]\(([^)]*)\)", text):
        path, _, heading = target.partition("#")
        file = (here / path).resolve() if path else ROOT / name
        assert file.exists(), target
        if heading:
            assert heading in map(anchor, re.findall(r"^#+ (.*)", file.read_text(), flags=re.MULTILINE)), target
    for file in re.findall(r"`((?:tests|bounds|figures|clopsim)/[\w/.]*)`", text):
        assert "NAME" in file or (ROOT / file).exists(), file


def anchor(heading):
    """What the forge makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_verdicts_are_those_of_the_ledger():
    """The first twelve claims; all stand in THEORY.md."""
    shown = dict(re.findall(r"^\| (P\d+): [^|]*\| \**([\w ]+?)\** \|", README, flags=re.MULTILINE))
    assert shown == {claim.identifier: claim.verdict for claim in PAPER[:12]}


@pytest.mark.parametrize("name", figures.NAMES)
def test_the_gallery_shows_every_figure_with_its_caption(name):
    assert f"]({name}.png)" in GALLERY
    for line in figures.caption(name).splitlines():
        assert line.rstrip(".") in GALLERY


@pytest.mark.parametrize("kind", ("sweep", "train", "train-sweep", "zoo"))
def test_the_files_of_a_run_are_in_the_guide_as_in_the_help(kind):
    """A test of each kind of run holds its folder to the help."""
    rows = re.findall(r"^\| `([\w.]+)` \| ([\w, -]+) \| [^|]+ \|$", GUIDE, flags=re.MULTILINE)
    shown = {file for file, kinds in rows if kind in kinds.split(", ")}
    assert shown == set(re.findall(r"[a-z]+\.(?:nc|json|png|npz|pt)\b", LEAVES[kind].split(" While it runs")[0]))


def test_nothing_is_said_twice():
    """No sentence of some length stands in two of the documents, or twice in one."""
    seen: dict[str, str] = {}
    for name, text in TEXTS.items():
        for sentence in re.split(r"(?<=[.:])\s|\n\n|\|", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            words = " ".join(sentence.split())
            if len(words) > 60 and not words.startswith("!["):
                assert words not in seen or name == "figures/README.md", (words, seen.get(words), name)
                seen[words] = name
