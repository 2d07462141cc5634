"""Which device and precision a run gets."""

import torch

from clopsim.sweep import check_device

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.float32}
"""Of the weights; bfloat16 is mixed precision."""


def choose(name: str, precision: str) -> tuple[torch.device, torch.dtype]:
    """The device of that name, auto being CUDA, then MPS, then the CPU, and the dtype of the weights.

    auto skips MPS for float64, which it has not. Errors: ValueError for a device that torch has not.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available() and precision != "float64"
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    return check_device(name, precision), DTYPES[precision]
