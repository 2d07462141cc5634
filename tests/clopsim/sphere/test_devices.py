import ctypes
import os
import subprocess
import sys

import pytest
import torch

from clopsim.sphere import devices


def test_devices():
    assert devices.check_device("cpu", "float64").type == "cpu"
    for name in ("gpu", "cuda:99", "hpu", "meta", ""):  # hpu: a module of its own, not there
        with pytest.raises(ValueError, match=rf"^device must .*{name!r}.*; use cpu, cuda or mps"):
            devices.check_device(name, "float64")


@pytest.mark.parametrize(
    "cuda, mps, precision, wanted",
    (
        (True, True, "float64", "cuda"),
        (True, False, "bfloat16", "cuda"),
        (False, True, "float32", "mps"),
        (False, True, "float64", "cpu"),  # MPS has no float64
        (False, False, "float32", "cpu"),
    ),
)
def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch, cuda, mps, precision, wanted):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(devices, "check_device", lambda name, precision: torch.device(name))
    device, dtype = devices.choose("auto", precision)
    assert device.type == wanted
    assert dtype == (torch.float64 if precision == "float64" else torch.float32)  # bfloat16: of the products only


MAPPED = """
import ctypes, sys, torch
from clopsim.sphere.devices import keep_freed

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = type("mallinfo2", (ctypes.Structure,), {"_fields_": [(f"n{k}", ctypes.c_size_t) for k in range(10)]})

def is_mapped(size):
    before = mallinfo().n3  # blocks with pages of their own, which go when they are freed
    block = torch.empty(size, dtype=torch.uint8)
    return mallinfo().n3 > before

first = is_mapped(30 * 2**20)
if "keep" in sys.argv:
    keep_freed()
print(first, is_mapped(31 * 2**20))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or newer"
)
@pytest.mark.parametrize("words, mapped", ((["-"], "True True"), (["keep"], "True False")))
def test_freed_memory_is_kept(words, mapped):
    free = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", MAPPED, *words]
    assert subprocess.run(command, env=free, capture_output=True, text=True, check=True).stdout.strip() == mapped
