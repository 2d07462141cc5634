import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture(scope="session")
def golden():
    """The module golden.py: the slow-loop twins and the golden file."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("golden.py"))))


@pytest.fixture
def batch():
    """A function that draws two raw views of N samples, (N, d) float64, and labels of three classes and -1."""

    def draw(samples=6, dimension=5, *, seed=0, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        first, second = torch.randn(2, samples, dimension, generator=generator, dtype=torch.float64).to(dtype)
        labels = torch.randint(-1, 3, (samples,), generator=generator)
        return first, second, labels

    return draw
