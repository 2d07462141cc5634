"""python -m tests.registers: compiles the kernels of a GPU without one, and tells what they need of a core.

Registers of a thread, bytes that it spills, shared memory of a program, matrix products in its code; of every form, or
with --short of the usual one. Needs Triton.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import torch

from clopsim.bounds import Setting
from clopsim.sphere import engine, fused

SIZES = ((16, 8), (32, 128), (50, 7), (64, 8), (64, 32), (64, 64), (64, 128), (128, 8), (128, 64))
SIZES += ((256, 8), (256, 32), (256, 64), (256, 128), (130, 100))
SHORT = ((64, 8), (256, 128))
USUAL, MOST = ("merged", "ambient", "symmetric"), ("full", "tangent", "symmetric")
FORMS = (
    (USUAL, 0.0, False),
    (("merged", "tangent", "detached"), 0.0, False),
    (MOST, 0.0, True),
    (MOST, 0.5, False),
    (MOST, 0.5, True),
)
"""Loss, gradient, keys; momentum; prototypes."""


class Needs(NamedTuple):
    """Of one kernel: registers of a thread, bytes spilled, shared memory of a program, matrix products in its code."""

    kernel: str
    n: int
    d: int
    form: str
    registers: int
    spilled: int
    shared: int
    products: int


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.registers", description=__doc__)
    options.add_argument(
        "--capability", type=int, default=90, choices=(80, 86, 89, 90), help="compute capability, times 10"
    )
    options.add_argument("--short", action="store_true", help="the usual form alone, at two sizes")
    given = options.parse_args()
    os.environ["TRITON_INTERPRET"] = "0"  # before Triton
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder
        try:
            import triton
        except ImportError:
            sys.exit("skipped: Triton is not installed; pip install 'clopsim[triton]'")
        print(f"Triton {triton.__version__}, compute capability {given.capability / 10}")
        print(*Needs._fields, sep="\t")
        for needs in table(given.capability, short=given.short):
            print(*needs, sep="\t", flush=True)


def table(capability: int, *, short: bool) -> Iterator[Needs]:
    """Every kernel at every size, in every form."""
    sizes = SHORT if short else SIZES
    for n, d in sizes:
        if d > fused.MOST_DIMENSIONS[capability // 10]:
            continue
        for form, momentum, prototypes in FORMS[:1] if short else FORMS:
            yield from of(Setting(0.5, d, n, *form, momentum=momentum), capability, prototypes=prototypes)


def of(setting: Setting, capability: int, *, prototypes: bool) -> Iterator[Needs]:
    """What the kernels of a setting need: launched as ever, but only compiled; each once, whatever the steps."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    from clopsim.sphere import kernels

    class Absent:
        """A GPU as far as Triton asks before a launch."""

        def get_current_target(self) -> GPUTarget:
            return GPUTarget("cuda", capability, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, device: int) -> int:
            return 0

    class Compiles:
        """In the place of a kernel."""

        def __init__(self, kernel: Any) -> None:
            self.kernel = kernel

        def __getitem__(self, grid: tuple[int, ...]) -> Any:
            return lambda *words, **options: made.append(self.kernel.warmup(*words, grid=grid, **options))

    made: list[Any] = []
    driver.set_active(Absent())
    z = torch.eye(max(setting.samples, setting.dimension))[None, : setting.samples, : setting.dimension]
    rate, tau, v, rows = torch.ones(1), torch.ones(1), torch.zeros_like(z), z if prototypes else None
    instead = {name: Compiles(getattr(kernels, name)) for name in ("descend", "inverse_sums", "move")}
    known = {"takes": lambda z, setting: True, "generation": lambda z: capability // 10}
    with patch.multiple(kernels, **instead), patch.multiple(fused, **known):
        for steps in (1, 2, 16):  # numbers that Triton would compile for anew
            engine.advance(z, rate, tau, setting=setting, steps=steps, prototypes=rows, velocity=v)
    words = [setting.loss, setting.gradient, setting.keys]
    words += ["momentum"] * (setting.momentum > 0) + ["prototypes"] * prototypes
    tool = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin", "cuobjdump")
    for one in {kernel.hash: kernel for kernel in made}.values():
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(one.asm["cubin"])
            file.flush()
            usage, code = (
                subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True).stdout
                for option in ("-res-usage", "-sass")
            )
        registers, spilled = (int(re.search(rf"{word}:(\d+)", usage)[1]) for word in ("REG", "STACK"))
        products = len(re.findall(r"\bHG?MMA\.", code))
        name, (n, d) = one.metadata.name, z.shape[1:]
        yield Needs(name, n, d, " ".join(words), registers, spilled, one.metadata.shared, products)


if __name__ == "__main__":
    main()
