"""The fast step against the reference step, and its promises: batching, threads, settled runs, temperature, memory."""

import sys
from itertools import product

import pytest
import torch

from clopsim.bounds import Setting, exact_rate
from clopsim.sphere import dynamics, engine, starts
from clopsim.sphere.dynamics import step
from tests.bench import scaling

FORMS = list(product(("merged", "full"), ("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean")))
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def batch(n: int, d: int, *, runs: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random points, rates and temperatures, all different; temperatures from 0.03 on."""
    z = torch.stack([starts.random_directions(Setting(0.5, d, n), seed=seed) for seed in range(runs)])
    return z.to(dtype), torch.logspace(-1, 0.7, runs, dtype=dtype), torch.logspace(-1.52, 0.7, runs, dtype=dtype)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("n, d", [(2, 2), (12, 3), (64, 8), (200, 5)])
@pytest.mark.parametrize("loss, gradient, keys, reduction", FORMS)
def test_one_step_is_the_reference_step(loss, gradient, keys, reduction, n, d, dtype):
    setting = Setting(0.5, d, n, loss=loss, gradient=gradient, keys=keys, reduction=reduction)
    z, rate, tau = batch(n, d, runs=7, dtype=dtype)
    kept = z.clone()
    rows = 3 * starts.random_directions(Setting(0.5, d, n), seed=9).to(dtype)
    rows[::2] = 0  # unlabelled
    for prototypes in (None, rows, torch.stack([k * rows for k in range(7)])):
        expected = step(z, rate, tau, setting, prototypes=prototypes)
        found = engine.advance(z, rate, tau, setting=setting, steps=1, prototypes=prototypes)
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype])
    assert torch.equal(z, kept)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("n, d", [(12, 3), (200, 5)])
@pytest.mark.parametrize("loss, gradient, keys, reduction", FORMS)
def test_with_momentum_too(loss, gradient, keys, reduction, n, d, dtype):
    setting = Setting(0.5, d, n, loss, gradient, keys, reduction, momentum=0.7)
    z, rate, tau = batch(n, d, runs=7, dtype=dtype)
    rate = 0.05 * rate * tau
    rows = 3 * starts.random_directions(Setting(0.5, d, n), seed=9).to(dtype)
    for prototypes in (None, rows):
        start = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(50, 57)]).to(dtype)
        expected, velocity, mine = z, start.clone(), start.clone()
        for _ in range(3):
            expected = step(expected, rate, tau, setting, prototypes=prototypes, velocity=velocity)
        found = engine.advance(z, rate, tau, setting=setting, steps=3, prototypes=prototypes, velocity=mine)
        torch.testing.assert_close(found, expected, rtol=0, atol=3 * TOLERANCE[dtype])
        torch.testing.assert_close(mine, velocity, rtol=30 * TOLERANCE[dtype], atol=30 * TOLERANCE[dtype])
    with pytest.raises(ValueError, match=r"^velocity must be given with momentum 0.7, got None"):
        engine.advance(z, rate, tau, setting=setting, steps=1)


def test_with_momentum_a_run_is_the_same_bit_for_bit_in_any_batch_and_in_any_pieces(monkeypatch):
    setting = Setting(0.5, 8, 33, momentum=0.6)
    z, rate, tau = batch(33, 8, runs=11, dtype=torch.float64)
    speed = torch.zeros_like(z)
    together = engine.advance(z, rate, tau, setting=setting, steps=20, velocity=speed, workers=1)
    monkeypatch.setattr(engine, "CACHE_BYTES", 3 * 8 * 33**2)
    velocity = torch.zeros_like(z)
    pieces = engine.advance(z, rate, tau, setting=setting, steps=7, velocity=velocity, workers=2)
    pieces = engine.advance(pieces, rate, tau, setting=setting, steps=13, velocity=velocity, workers=2)
    assert torch.equal(pieces, together)
    assert torch.equal(velocity, speed)


@pytest.mark.parametrize("steps", (1500, 1501))
def test_with_momentum_settled_runs_end_where_they_would(steps, monkeypatch):
    """The first, collapsed on an axis, is where it was two steps ago from the start, but its velocity grows."""
    setting = Setting(0.5, 8, 16, momentum=0.3)
    z, _, _ = batch(16, 8, runs=4, dtype=torch.float32)
    z[0] = torch.eye(8)[0]
    rate, tau = float(exact_rate(setting)) * torch.tensor([2.0, 3.0, 4.0, 6.0]), torch.full((4,), 0.5)
    velocity = torch.zeros_like(z)
    every = engine._Chunk(z, rate, tau, setting, None, velocity)
    for _ in range(steps):
        every.step()
    advanced, whole_step = [], engine._Chunk.step
    monkeypatch.setattr(engine._Chunk, "step", lambda chunk: (advanced.append(len(chunk.z)), whole_step(chunk))[1])
    early = engine.advance(z, rate, tau, setting=setting, steps=steps, velocity=velocity, workers=1)
    assert torch.equal(early, every.z.mT)
    assert torch.equal(velocity, every.velocity.mT)
    assert sum(advanced) < 4 * steps  # some stopped early


def test_many_steps_follow_the_reference():
    """Below mu_c the dynamics forget: rounding does not grow over 60 steps."""
    setting = Setting(0.5, 4, 10, loss="full", gradient="tangent")
    z, _, tau = batch(10, 4, runs=5, dtype=torch.float64)
    rate = 0.05 * tau
    expected = z
    for _ in range(60):
        expected = step(expected, rate, tau, setting)
    torch.testing.assert_close(engine.advance(z, rate, tau, setting=setting, steps=60), expected, rtol=0, atol=1e-12)
    assert torch.equal(engine.advance(z, rate, tau, setting=setting, steps=0), z)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("n, d", [(5, 3), (33, 8), (64, 8), (300, 9)])  # BLAS shares a product as large as the last
def test_a_run_is_the_same_bit_for_bit_in_any_batch_and_with_any_workers(n, d, dtype, monkeypatch):
    setting = Setting(0.5, d, n)
    z, rate, tau = batch(n, d, runs=23, dtype=dtype)
    together = engine.advance(z, rate, tau, setting=setting, steps=20, workers=1)
    alone = [
        engine.advance(z[k : k + 1], rate[k : k + 1], tau[k : k + 1], setting=setting, steps=20) for k in range(23)
    ]
    assert torch.equal(torch.cat(alone), together)
    monkeypatch.setattr(engine, "CACHE_BYTES", 3 * dtype.itemsize * n**2)
    threads = torch.get_num_threads()
    for workers in (1, 2, 3):
        assert torch.equal(engine.advance(z, rate, tau, setting=setting, steps=20, workers=workers), together)
    assert torch.get_num_threads() == threads


def test_neighbours_which_settle_alike_are_dealt_to_all_workers(monkeypatch):
    setting = Setting(0.5, 3, 200)
    z, rate, tau = batch(200, 3, runs=8, dtype=torch.float32)
    dealt, chunk = [], engine._Chunk
    monkeypatch.setattr(engine, "CACHE_BYTES", 4 * 4 * 200**2)  # four runs
    monkeypatch.setattr(engine, "_Chunk", lambda *given: (dealt.append(given[1].tolist()), chunk(*given))[1])
    engine.advance(z, rate, tau, setting=setting, steps=1, workers=2)
    assert sorted(dealt) == [rate[::2].tolist(), rate[1::2].tolist()]


@pytest.mark.parametrize("steps", (500, 501))
def test_settled_runs_stop_and_end_where_they_would(steps, monkeypatch):
    """Two runs start collapsed on an axis: every step flips them and rounds nothing. When the others have swung in to
    the last bit is a matter of rounding."""
    setting = Setting(0.5, 8, 16)
    z, _, _ = batch(16, 8, runs=6, dtype=torch.float32)
    z[2:4] = torch.eye(8)[0]
    rate = float(exact_rate(setting)) * torch.tensor([0.3, 0.8, 2.0, 3.0, 4.0, 6.0])
    tau = torch.full((6,), 0.5)
    every = z
    for _ in range(steps):
        every = engine.advance(every, rate, tau, setting=setting, steps=1)  # one alone is not looked at
    advanced = []
    whole_step = engine._Chunk.step
    monkeypatch.setattr(engine._Chunk, "step", lambda chunk: (advanced.append(len(chunk.z)), whole_step(chunk))[1])
    early = engine.advance(z, rate, tau, setting=setting, steps=steps, workers=1)
    assert torch.equal(early, every)
    assert sum(advanced) <= 4 * steps + 2 * 2
    assert torch.equal(every[2:4], (-1) ** steps * z[2:4])


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_the_lowest_temperature_is_safe_in_the_worst_batch(dtype):
    """Two clusters at opposite poles, one of a single point: for that one every cosine is -1 and all E are least."""
    setting = Setting(0.5, 3, 6)
    z = torch.tensor([[0.0, 0.6, 0.8]], dtype=dtype).repeat(1, 6, 1)
    z[:, 0] *= -1
    tau = torch.tensor([1.0001 * engine.lowest_temperature(dtype)], dtype=dtype)
    rate = tau / 3
    found = engine.advance(z, rate, tau, setting=setting, steps=1)
    assert found.isfinite().all()
    torch.testing.assert_close(found, step(z, rate, tau, setting), rtol=0, atol=TOLERANCE[dtype])
    lower = 0.99 * tau
    with pytest.raises(ValueError, match=r"^tau must be >= 0\.\d+ in torch.float\d\d, got .*; use dynamics.advance"):
        engine.advance(z, rate, lower, setting=setting, steps=1)
    assert torch.equal(dynamics.advance(z, rate, lower, setting=setting, steps=1), step(z, rate, lower, setting))


def test_low_temperatures_in_a_batch_are_taken_by_the_reference():
    setting = Setting((0.01, 0.5), 8, 16)
    z, rate, _ = batch(16, 8, runs=4, dtype=torch.float32)
    tau = torch.tensor([0.01, 0.5, 0.02, 1.0])
    rows = torch.stack([k * z[0] for k in range(4)])
    for prototypes in (None, z[1], rows):
        found = dynamics.advance(z, rate, tau, setting=setting, steps=1, prototypes=prototypes)
        assert found.isfinite().all()
        torch.testing.assert_close(found, step(z, rate, tau, setting, prototypes=prototypes), rtol=0, atol=1e-5)


def test_runs_beyond_a_diverged_one_go_on():
    setting = Setting(0.5, 8, 16)
    z, rate, tau = batch(16, 8, runs=3, dtype=torch.float64)
    clean = engine.advance(z, rate, tau, setting=setting, steps=40)
    z[1, 0, 0] = torch.nan
    found = engine.advance(z, rate, tau, setting=setting, steps=40)
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("n, d, keys", [(64, 8, "symmetric"), (16, 2, "detached"), (300, 40, "symmetric")])
def test_buffers_of_a_chunk_stay_within_their_formula(n, d, keys):
    setting = Setting(0.5, d, n, keys=keys)
    for dtype in (torch.float32, torch.float64):
        runs = engine.chunk_runs(setting, dtype)
        assert runs == 1 or runs * n**2 * dtype.itemsize <= engine.CACHE_BYTES
        z = torch.zeros(runs, n, d, dtype=dtype)
        one = torch.ones(runs, dtype=dtype)
        chunk = engine._Chunk(z, one, one, setting, z, None)
        storages = [value.untyped_storage() for value in vars(chunk).values() if isinstance(value, torch.Tensor)]
        held = {storage.data_ptr(): storage.nbytes() for storage in storages}  # views share one
        copies = 4 * z.nbytes  # the gathered z and prototypes, and the two states kept to see who has settled
        bound = engine.buffer_bytes(setting, dtype)
        assert sum(held.values()) + copies <= bound
        assert bound <= 1.5 * (sum(held.values()) + copies)
        heavy = Setting(0.5, d, n, keys=keys, momentum=0.5)
        more = 4 * z.nbytes  # the velocity, as gathered and as kept here, and its two states
        assert engine.buffer_bytes(heavy, dtype) == bound + more


@pytest.mark.skipif(sys.platform != "linux", reason="the bound holds for glibc's malloc, asked to free at once")
@pytest.mark.parametrize("n, d, runs", [(128, 8, 1024), (1024, 8, 64)])
def test_memory_in_use_stays_within_the_bound(n, d, runs):
    """Resident memory of a whole process: buffers, result, and what the libraries take. The kernels of all runs at
    once would be 64 and 256 MiB.
    """
    found = scaling.measured(n, d, runs, workers=2, **scaling.EAGER)
    assert found["bound_mib"] / 3 < found["peak_mib"] <= found["bound_mib"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loss, gradient, keys, reduction", FORMS)
def test_cuda_agrees_with_the_cpu(loss, gradient, keys, reduction):
    setting = Setting(0.5, 8, 12, loss=loss, gradient=gradient, keys=keys, reduction=reduction)
    z, rate, tau = batch(12, 8, runs=5, dtype=torch.float64)
    here = engine.advance(z, rate, tau, setting=setting, steps=1)
    there = engine.advance(z.cuda(), rate.cuda(), tau.cuda(), setting=setting, steps=1)
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-12)
