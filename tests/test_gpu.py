"""python -m tests.gpu without a GPU: it skips, and its parts, on the CPU and small, notice what is wrong."""

from importlib.util import find_spec

import pytest
import torch

from clopsim.sphere import engine, fused
from tests import gpu

CPU = torch.device("cpu")


def test_without_a_gpu_it_skips_with_a_reason(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    gpu.main()
    assert capsys.readouterr().out == "skipped: torch finds no CUDA device here\n"


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value) encountered:RuntimeWarning")
def test_a_wrong_descent_is_noticed(monkeypatch):
    checked = tuple(((20, 3), form) for form in (gpu.USUAL, gpu.MOST))
    if find_spec("triton"):
        monkeypatch.setattr(fused, "takes", lambda z, setting: z.dtype == torch.float32)
    assert gpu.descents(CPU, checked) == []
    right = engine.advance
    monkeypatch.setattr(engine, "advance", lambda z, rate, *rest, **more: right(z, 1.001 * rate, *rest, **more))
    assert len(gpu.descents(CPU, checked)) == 4
    assert len(gpu.precise(CPU)) == len(gpu.FORMS)
    monkeypatch.setattr(engine, "advance", lambda z, *rest, **more: torch.full_like(z, torch.nan))
    assert len(gpu.descents(CPU, checked)) == 4


def test_settled_runs_and_outcomes_are_compared(monkeypatch):
    assert gpu.precise(CPU) == gpu.verdicts(CPU, runs=16, steps=50) == []
    assert gpu.settled(CPU, runs=4, steps=65) == []
    right = engine.advance
    monkeypatch.setattr(engine, "advance", lambda z, *rest, **more: right(z, *rest, **more) + engine.SETTLED)
    assert len(gpu.settled(CPU, runs=4, steps=65)) == 3


def test_a_command_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(gpu, "COMMANDS", ("sweep --samples 8 --steps 3 --seeds 1 --rates 0.5,2", "sweep --steps 0"))
    (found,) = gpu.commands("cpu")
    assert found.startswith("clopsim sweep --steps 0 --device cpu: status 2, ")


def test_the_table_names_every_contender_with_its_gap(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)  # a minute of a C++ compiler
    head, *rows = gpu.table(CPU, 8, 3, 4, 5, rounds=2).strip().splitlines()
    assert head.startswith("n = 8, d = 3, 4 runs, 5 steps: us per run and step")
    names = ["clopsim", "clopsim without its kernels", "torch.compile of the plain step"]
    names += ["JAX, as it comes", "JAX, float32 products"] * bool(find_spec("jax"))
    assert [row[:34].strip() for row in rows] == names
    for row in rows:
        microseconds, ratio, gap = map(float, row[34:].split())
        assert microseconds > 0
        assert ratio > 0
        assert gap <= 1e-5
    assert float(rows[0].split()[-2]) == 1


@pytest.mark.skipif(not find_spec("triton"), reason="the kernels need Triton: pip install 'clopsim[triton]'")
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value) encountered:RuntimeWarning")
def test_other_launches_are_timed():
    lines = gpu.launches(CPU, rounds=1, sizes=((16, 3), (128, 2)), runs=2, steps=1).splitlines()
    assert [line.split(": ")[-1].endswith(", chosen") for line in lines] == [
        True,
        *7 * [False],
        *2 * [False],
        True,
        False,
    ]
    assert lines[1].startswith("n = 16, d = 3, {'num_warps': 1, 'maxnreg': 128}: ")
