"""The kernels against the reference step: on a GPU, or in Triton's interpreter, also with factors cut to TF32."""

from itertools import product

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="the kernels need Triton: pip install 'clopsim[triton]'")

from clopsim.bounds import Setting, exact_rate
from clopsim.sphere import dynamics, engine, fused, starts
from clopsim.sphere.dynamics import step

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FORMS = list(product(("merged", "full"), ("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean")))
SOME = [FORMS[k] for k in (0, 5, 10, 15)]  # every choice twice
TOLERANCE = 1e-5

pytestmark = pytest.mark.filterwarnings(
    "ignore:(divide by zero|invalid value) encountered:RuntimeWarning"  # rows of padding, in NumPy; masked
)


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    """The engine takes the kernels on a CPU too."""
    if DEVICE == "cpu":
        monkeypatch.setattr(fused, "takes", lambda z, setting: True)


@pytest.fixture
def streamed(monkeypatch):
    """No run fits on the chip; three blocks of rows and of keys at n = 40, the last with padding."""
    monkeypatch.setattr(fused, "on_chip", lambda setting, capability: False)
    if DEVICE == "cpu":
        monkeypatch.setattr(fused, "tile", lambda setting, capability: fused.Tile(16, 16, 4, 1))


@pytest.fixture(params=("on_chip", "streamed"))
def where(request):
    """The same test both ways."""
    if request.param == "streamed":
        request.getfixturevalue("streamed")


def batch(n: int, d: int, *, runs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random points, rates and temperatures, all different; temperatures from 0.03 on."""
    z = torch.stack([starts.random_directions(Setting(0.5, d, n), seed=seed) for seed in range(runs)])
    every = z.float(), torch.logspace(-1, 0.7, runs), torch.logspace(-1.52, 0.7, runs)
    return tuple(one.to(DEVICE) for one in every)


def one_step_agrees(form: tuple[str, ...], n: int, d: int) -> None:
    setting = Setting(0.5, d, n, *form)
    z, rate, tau = batch(n, d, runs=3)
    kept = z.clone()
    rows = 3 * starts.random_directions(Setting(0.5, d, n), seed=9).float().to(DEVICE)
    rows[::2] = 0  # unlabelled
    for prototypes in (None, rows, torch.stack([k * rows for k in range(3)])):
        expected = step(z, rate, tau, setting, prototypes=prototypes)
        found = engine.advance(z, rate, tau, setting=setting, steps=1, prototypes=prototypes)
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
    assert torch.equal(z, kept)


def momentum_agrees(form: tuple[str, ...], n: int, d: int) -> None:
    setting = Setting(0.5, d, n, *form, momentum=0.7)
    z, rate, tau = batch(n, d, runs=3)
    rate = 0.05 * rate * tau
    rows = 3 * starts.random_directions(Setting(0.5, d, n), seed=9).float().to(DEVICE)
    start = torch.stack([starts.random_directions(setting, seed=seed) for seed in (50, 51, 52)]).float().to(DEVICE)
    expected, velocity, mine = z, start.clone(), start.mT.contiguous().mT  # in whatever layout
    for _ in range(3):
        expected = step(expected, rate, tau, setting, prototypes=rows, velocity=velocity)
    found = engine.advance(z, rate, tau, setting=setting, steps=3, prototypes=rows, velocity=mine)
    torch.testing.assert_close(found, expected, rtol=0, atol=3 * TOLERANCE)
    torch.testing.assert_close(mine, velocity, rtol=30 * TOLERANCE, atol=30 * TOLERANCE)


@pytest.mark.parametrize("n, d", [(2, 2), (20, 17)])
@pytest.mark.parametrize("form", FORMS)
def test_on_the_chip_a_step_is_the_reference_step(form, n, d):
    one_step_agrees(form, n, d)


def test_prototypes_of_any_shape_that_broadcasts(where):
    setting = Setting(0.5, 3, 18)
    z, rate, tau = batch(18, 3, runs=2)
    rows = torch.arange(2 * 18 * 3.0, device=DEVICE).view(2, 18, 3) / 50
    for prototypes in (rows, rows[0], rows[:, :1], rows[0, :1], rows.mT.contiguous().mT):
        expected = step(z, rate, tau, setting, prototypes=prototypes)
        found = engine.advance(z, rate, tau, setting=setting, steps=1, prototypes=prototypes)
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("form", SOME)
def test_streamed_it_is_too(form, streamed):
    one_step_agrees(form, 40, 5)


@pytest.mark.parametrize("form", SOME)
def test_with_momentum_too(form):
    momentum_agrees(form, 20, 3)


@pytest.mark.parametrize("form", SOME[1:3])
def test_streamed_with_momentum_too(form, streamed):
    momentum_agrees(form, 40, 5)


def of_tf32(x: np.ndarray) -> np.ndarray:
    """What a tensor core reads of a float32: sign, exponent and ten bits."""
    return (np.ascontiguousarray(x).view(np.int32) & -0x2000).view(np.float32)


@pytest.fixture
def tf32(monkeypatch):
    """The interpreter's products read their factors as a tensor core does; the number of products so far."""
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    count = []

    def create_dot(self, a, b, d, input_precision, max_num_imprecise_acc):
        count.append(len(count))
        return TensorHandle(np.matmul(of_tf32(a.data), of_tf32(b.data)) + d.data, d.dtype.scalar)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)
    return count


@pytest.mark.skipif(DEVICE == "cuda", reason="a GPU does what the interpreter imitates")
@pytest.mark.parametrize("n, d", [(64, 8), (33, 17)])
def test_three_products_of_tf32_are_as_good_as_float32(n, d, tf32):
    """Any two of them are off by a thousand times as much."""
    setting = Setting(0.5, d, n)
    z, rate, tau = batch(n, d, runs=4)
    found = engine.advance(z, rate, tau, setting=setting, steps=1).double()
    exact = step(z.double(), rate.double(), tau.double(), setting)
    plain = step(z, rate, tau, setting).double()
    assert len(tf32) == 4 * 6
    assert (found - exact).abs().max() <= 3 * (plain - exact).abs().max()


@pytest.mark.parametrize("steps, momentum", ((21, 0.0), (22, 0.0), (21, 0.3)))
def test_on_the_chip_settled_runs_end_where_they_would(steps, momentum, request, monkeypatch):
    """The first two, collapsed on an axis, swap sides from a few steps on. The others go on."""
    count = request.getfixturevalue("tf32") if DEVICE == "cpu" else None
    monkeypatch.setattr(engine, "SETTLED", 4)
    setting = Setting(0.5, 4, 16, momentum=momentum)
    z, _, _ = batch(16, 4, runs=4)
    z[0], z[1] = torch.eye(4, device=DEVICE)[:2, None]
    rate = float(exact_rate(setting)) * torch.tensor([2.0, 3.0, 0.5, 0.1], device=DEVICE)
    tau = torch.full_like(rate, 0.5)
    speed, velocity = torch.zeros_like(z), torch.zeros_like(z)
    every = z
    for _ in range(steps):
        every = engine.advance(every, rate, tau, setting=setting, steps=1, velocity=speed)  # one alone is not looked at
    if count is not None:
        count.clear()
    early = engine.advance(z, rate, tau, setting=setting, steps=steps, velocity=velocity)
    assert torch.equal(early, every)
    assert not momentum or torch.equal(velocity, speed)
    if count is not None and not momentum:
        taken = len(count) / 6 - 2 * steps  # of the first two
        assert 4 <= taken <= 2 * 11


def test_streamed_settled_runs_end_where_they_would(streamed, monkeypatch):
    setting = Setting(0.5, 4, 20)
    z, _, _ = batch(20, 4, runs=2)
    z[0] = torch.eye(4)[0].to(DEVICE)
    rate = float(exact_rate(setting)) * torch.tensor([2.0, 0.5], device=DEVICE)
    tau = torch.full_like(rate, 0.5)
    every = z
    for _ in range(5):
        every = engine.advance(every, rate, tau, setting=setting, steps=1)
    advanced, whole_step = [], fused.Streamed.step
    monkeypatch.setattr(fused.Streamed, "step", lambda chunk: (advanced.append(len(chunk.z)), whole_step(chunk))[1])
    early = engine.advance(z, rate, tau, setting=setting, steps=5)
    assert torch.equal(early, every)
    assert advanced == [2, 2] + 3 * [1]


def test_a_run_is_the_same_bit_for_bit_in_any_batch_and_in_any_pieces(where):
    setting = Setting(0.5, 3, 18)
    z, rate, tau = batch(18, 3, runs=3)
    together = engine.advance(z, rate, tau, setting=setting, steps=5)
    pieces = engine.advance(engine.advance(z, rate, tau, setting=setting, steps=3), rate, tau, setting=setting, steps=2)
    assert torch.equal(pieces, together)
    alone = engine.advance(z[1:2], rate[1:2], tau[1:2], setting=setting, steps=5)
    assert torch.equal(alone[0], together[1])
    assert torch.equal(engine.advance(z, rate, tau, setting=setting, steps=0), z)
    assert engine.advance(z[:0], rate[:0], tau[:0], setting=setting, steps=3).shape == (0, 18, 3)


def test_a_diverged_run_stays_nan_and_touches_no_other(where):
    setting = Setting(0.5, 3, 18)
    z, rate, tau = batch(18, 3, runs=3)
    clean = engine.advance(z, rate, tau, setting=setting, steps=4)
    z[1, 0, 0] = torch.nan
    found = engine.advance(z, rate, tau, setting=setting, steps=4)
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("keys", ("symmetric", "detached"))
def test_the_lowest_temperature_is_safe_in_the_worst_batch(where, keys):
    """Two clusters at opposite poles, one of a single point: for that one every cosine is -1 and all E are least."""
    setting = Setting(0.5, 3, 20, keys=keys)
    z = torch.tensor([[0.0, 0.6, 0.8]], device=DEVICE).repeat(1, 20, 1)
    z[:, 0] *= -1
    tau = torch.tensor([1.0001 * engine.lowest_temperature(torch.float32)], device=DEVICE)
    rate = tau / 3
    found = engine.advance(z, rate, tau, setting=setting, steps=1)
    torch.testing.assert_close(found, step(z, rate, tau, setting), rtol=0, atol=TOLERANCE)


def test_a_whole_trajectory_records_what_the_cpu_records(monkeypatch):
    """Below mu_c the dynamics forget: rounding does not grow."""
    setting = Setting(0.5, 4, 10, loss="full", gradient="tangent")
    z, _, tau = batch(10, 4, runs=3)
    mine = dynamics.run(z, 0.05 * tau, tau, setting=setting, steps=(0, 1, 7, 30))
    monkeypatch.undo()  # the CPU takes its own way again
    z, tau = z.double().cpu(), tau.double().cpu()
    exact = dynamics.run(z, 0.05 * tau, tau, setting=setting, steps=(0, 1, 7, 30))
    torch.testing.assert_close(mine.final.cpu().double(), exact.final, rtol=0, atol=TOLERANCE)
    for name, values in exact.observables.items():
        torch.testing.assert_close(mine.observables[name], values, rtol=1e-4, atol=1e-4)


class Elsewhere:
    """A tensor as far as takes() looks at it."""

    def __init__(self, device: str = "cuda", dtype: torch.dtype = torch.float32) -> None:
        self.device, self.dtype = torch.device(device), dtype


@pytest.mark.parametrize(
    "change",
    (
        {},
        {"device": "cpu"},
        {"device": "mps"},
        {"dtype": torch.float64},
        {"n": 4098},
        {"d": 129},
        {"hip": "7.0"},
        {"capability": (7, 5)},
        {"capability": (8, 6), "d": 65},
        {"capability": (10, 0)},
        {"triton": (3, 2)},
        {"triton": ()},
        {"starts": False},
    ),
)
def test_what_the_kernels_take(change, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(torch.version, "hip", change.get("hip"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: change.get("capability", (9, 0)))
    monkeypatch.setattr(fused, "_triton", lambda: change.get("triton", (3, 6)))
    monkeypatch.setattr(fused, "_starts", lambda device: change.get("starts", True))
    setting = Setting(0.5, change.get("d", 8), change.get("n", 64))
    z = Elsewhere(change.get("device", "cuda"), change.get("dtype", torch.float32))
    assert fused.takes(z, setting) is not bool(change)


def test_where_no_kernel_starts_that_is_said_and_nothing_fails(monkeypatch):
    def descend(*words, **options):
        raise RuntimeError("Failed to find C compiler.\nPlease specify one")

    fused._starts.cache_clear()
    assert fused._starts(torch.device(DEVICE))
    fused._starts.cache_clear()
    monkeypatch.setattr(fused, "descend", descend)
    with pytest.warns(
        RuntimeWarning, match=r"^Triton starts no kernel on .* \(Failed to find C compiler\.\); it needs"
    ):
        assert not fused._starts(torch.device(DEVICE))
    fused._starts.cache_clear()


def test_what_fits_on_the_chip():
    fits = {(2, 2), (64, 8), (64, 128), (100, 64)}
    for n, d in (*fits, (128, 65), (129, 2)):
        assert fused.on_chip(Setting(0.5, d, n), 9) == ((n, d) in fits)
    assert fused.on_chip(Setting(0.5, 16, 128), 8)
    assert not fused.on_chip(Setting(0.5, 17, 128), 8)
    assert fused.on_chip(Setting(0.5, 32, 128, momentum=0.5), 9)  # the velocity needs as much again
    assert not fused.on_chip(Setting(0.5, 33, 128, momentum=0.5), 9)
