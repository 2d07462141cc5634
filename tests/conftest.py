"""What tests of every package share."""

import os
import shlex
import shutil

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that wait sleep, and cost others little
if not shutil.which("nvidia-smi"):
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before Triton: the kernels of a GPU run on the CPU, in NumPy

import pytest
from typer.testing import CliRunner

from tests.browser import ARGUMENTS, CHROMIUM


@pytest.fixture
def parse():
    """parse(line) reads a `clopsim ...` line without running it; the command's name. Errors: what a user would see."""
    from typer.main import get_command

    from clopsim import cli

    def parsed(line):
        program, *words = shlex.split(line)
        assert program == "clopsim"
        group = get_command(cli.app)
        with group.make_context("clopsim", words) as context:
            name, command, rest = group.resolve_command(context, words)
            command.make_context(name, rest, parent=context)
        return name

    return parsed


@pytest.fixture
def clopsim(tmp_path, monkeypatch):
    """clopsim(*words) runs the command in an empty folder, without colours."""
    from clopsim import cli  # here, since the tests of bounds need none of it

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words])


@pytest.fixture(scope="module")  # not longer: playwright keeps an event loop running, which other tests may not expect
def browser():
    """One headless Chromium with a fresh profile for the tests of a module."""
    if CHROMIUM is None:
        pytest.skip("needs the chromium of the system, as in `apt-get install chromium`")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, in the test extra")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
