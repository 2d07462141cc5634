"""What the kernels of a GPU need of it, found by compiling them here."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="the kernels need Triton: pip install 'clopsim[triton]'")

from tests.registers import Needs

REGISTERS, SHARED = 255, 227 * 1024
"""That a thread and a program have on a Hopper; beyond the second nothing starts."""


def test_the_kernels_compile_for_a_hopper_and_fit():
    command = [sys.executable, "-m", "tests.registers", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TRITON_INTERPRET": "0"})
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()[2:]]
    needs = [Needs(*row[:1], *map(int, row[1:3]), row[3], *map(int, row[4:])) for row in rows]
    assert [(one.kernel, one.n, one.d) for one in needs] == [
        ("descend", 64, 8),
        ("inverse_sums", 256, 128),
        ("move", 256, 128),
    ]
    assert all(0 < one.registers <= REGISTERS and one.shared <= SHARED and one.products for one in needs)
    small = needs[0]
    assert small.registers <= 128  # four programs a core
    assert small.spilled <= 64  # outside the loop over steps
    assert max(one.spilled for one in needs) <= 512
