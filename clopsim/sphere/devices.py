"""Which device and precision a run gets."""

import torch

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.float32}
"""Of the weights; bfloat16 is mixed precision."""

KEPT = 2**25 - 2**14
"""Bytes of the largest block that keep_freed keeps: glibc's limit, 32 MiB, but for what it adds itself."""


def choose(name: str, precision: str) -> tuple[torch.device, torch.dtype]:
    """The device of that name, auto being CUDA, then MPS, then the CPU, and the dtype of the weights.

    auto skips MPS for float64, which it has not. Errors: ValueError for a device that torch has not.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available() and precision != "float64"
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    return check_device(name, precision), DTYPES[precision]


def fastest(name: str) -> str:
    """The name itself; of auto cuda, else cpu: where many small runs go together MPS gains nothing."""
    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def check_device(name: str, precision: str) -> torch.device:
    """The torch device of that name; ValueError where it is unknown, absent or without the precision."""
    known = "; use cpu, cuda or mps"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise ValueError(f"device must be one that torch has here, got {name!r} ({reason}){known}") from None
    if device.type == "meta":
        raise ValueError(f"device must hold numbers, got 'meta'{known}")
    if device.type == "mps" and precision == "float64":
        raise ValueError("precision must be float32 on mps, got 'float64'; MPS has no float64")
    return device


def keep_freed() -> None:
    """Let glibc keep freed blocks of up to 32 MiB for the next ones, for good; elsewhere nothing happens.

    Given back and taken anew in every step, each of their pages costs a fault: a quarter of the time of a step. The
    block that is freed here, never touched, is the largest from which glibc learns what to keep: mallopt(3),
    M_MMAP_THRESHOLD. The environment variable MALLOC_MMAP_THRESHOLD_ or MALLOC_TRIM_THRESHOLD_ takes precedence.
    """
    torch.empty(KEPT, dtype=torch.uint8)
