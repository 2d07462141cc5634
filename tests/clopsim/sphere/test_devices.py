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
