"""What tests of every package share."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that wait sleep, and cost others little

import pytest
from typer.testing import CliRunner


@pytest.fixture
def clopsim(tmp_path, monkeypatch):
    """clopsim(*words) runs the command in an empty folder, without colours."""
    from clopsim import cli  # here, since the tests of bounds need none of it

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words])
