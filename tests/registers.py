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

import torch
from clopsim.bounds import Setting

from clopsim.sphere import fused

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
POINTERS = ("z_ptr", "out_ptr", "speed_ptr", "row_ptr", "rate_ptr", "scale_ptr", "pull_ptr", "r_ptr")


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
    os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp()
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
    """What the kernels of a setting need, as fused launches them."""
    n, d = setting.samples, setting.dimension
    rows = torch.empty(0) if prototypes else None
    flags = fused.form(setting, rows)
    shared = {"n": n, "d": d, "D": fused.padded(d)}
    if fused.on_chip(setting, capability // 10):
        kernels = {"descend": ({**shared, "N": fused.padded(n), **flags}, fused.warps(setting, rows))}
    else:
        block = fused.tile(setting, capability // 10)
        sizes = {**shared, "M": block.rows, "K": block.keys}
        launch = {"num_warps": block.warps, "num_stages": block.stages}
        kernels = {"inverse_sums": (sizes, launch), "move": ({**sizes, **flags}, launch)}
    for name, (constants, launch) in kernels.items():
        words = [setting.loss, setting.gradient, setting.keys]
        words += ["momentum"] * (setting.momentum > 0) + ["prototypes"] * prototypes
        yield Needs(name, n, d, " ".join(words), *compiled(name, constants, launch, capability))


def compiled(name: str, constants: dict[str, Any], launch: dict[str, int], capability: int) -> tuple[int, ...]:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from clopsim.sphere import kernels

    kernel = getattr(kernels, name)
    kinds = {"beta": "fp32"} | dict.fromkeys(POINTERS, "*fp32") | dict.fromkeys(constants, "constexpr")
    signature = {argument: kinds.get(argument, "i32") for argument in kernel.arg_names}
    aligned = {(k,): [["tt.divisibility", 16]] for k, argument in enumerate(kernel.arg_names) if argument in POINTERS}
    done = triton.compile(
        ASTSource(kernel, signature, constants, aligned),
        target=GPUTarget("cuda", capability, 32),
        options={**launch, "enable_fp_fusion": False},
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(done.asm["cubin"])
        file.flush()
        tool = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin", "cuobjdump")
        usage, code = (
            subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True).stdout
            for option in ("-res-usage", "-sass")
        )
    registers, spilled = (int(re.search(rf"{word}:(\d+)", usage)[1]) for word in ("REG", "STACK"))
    return registers, spilled, done.metadata.shared, len(re.findall(r"\bH(?:G)?MMA\.", code))


if __name__ == "__main__":
    main()
