"""Rows as they lie in files: precision, size, bad ones, more dimensions than rows."""

import json

import numpy as np
import pytest
import torch

import clopsim
from clopsim.metrics import geometry, inspection, tables

RNG = np.random.default_rng(5)


def normal(n: int, d: int) -> np.ndarray:
    return RNG.standard_normal((n, d))


def ranks(x: np.ndarray) -> dict[str, float]:
    return inspection.inspect(x).report["effective_rank"]


def exact_ranks(x: np.ndarray) -> dict[str, float]:
    """By the definition, from singular values in float64."""
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    found = {}
    for centring, rows in (("uncentred", z), ("centred", z - z.mean(axis=0))):
        sigma = np.linalg.svd(rows, compute_uv=False)
        for spectrum, weight in (("energy", sigma**2), ("amplitude", sigma)):
            p = weight[weight > 1e-12] / weight.sum()
            found[f"{spectrum}_{centring}"] = float(np.exp(-(p * np.log(p)).sum()))
    sigma = np.linalg.svd(x / np.abs(x).max(), compute_uv=False)
    p = sigma[sigma > 1e-12] / sigma.sum()
    return found | {"amplitude_raw": float(np.exp(-(p * np.log(p)).sum()))}


def bfloat16(x: np.ndarray) -> np.ndarray:
    return torch.from_numpy(x).bfloat16().view(torch.int16).numpy().view("V2")


@pytest.mark.parametrize("cosine", (0.9, 0.99, 0.999))
@pytest.mark.parametrize("heavy", (False, True), ids=("even", "one heavy coordinate"))
def test_storing_in_half_precision_costs_the_spectrum_nothing(cosine, heavy):
    mean = normal(1, 160)[0]
    mean /= np.linalg.norm(mean)
    if heavy:
        mean = np.eye(160)[3]
    x = np.sqrt(cosine) * mean + np.sqrt((1 - cosine) / 160) * normal(900, 160)
    expected = exact_ranks(x)
    for stored in (x.astype(np.float32), x.astype(np.float16), bfloat16(x)):
        for name, value in ranks(stored).items():
            assert value == pytest.approx(expected[name], rel=0.02), (stored.dtype, name)


@pytest.mark.parametrize("dtype", (np.float16, np.float32))
def test_rounding_itself_is_no_spread(dtype):
    """One row, moved by less than the last bit of its numbers."""
    row = normal(1, 48)
    x = (row * (1 + 0.5 * np.finfo(dtype).eps * RNG.uniform(-1, 1, (500, 48)))).astype(dtype)
    assert len(np.unique(x, axis=0)) > 100
    assert ranks(x)["energy_centred"] == 0
    assert float(geometry.effective_rank(torch.from_numpy(x), centered=True)) == 0


def test_a_cone_in_float64_keeps_its_spectrum_to_the_last_digits():
    x = 1 + 1e-6 * normal(700, 20)
    found = ranks(x)
    assert found["energy_centred"] == pytest.approx(exact_ranks(x)["energy_centred"], rel=1e-6)
    assert found["energy_centred"] > 17


@pytest.mark.parametrize("scale", (1e-250, 1e-30, 1e30, 1e200, 1e306))
def test_lengths_whose_squares_overflow_or_vanish_are_lengths(scale):
    x = normal(300, 12)
    report, plain = inspection.inspect(scale * x).report, inspection.inspect(x).report
    assert report["verdict"] == "none"
    assert report["effective_rank"] == pytest.approx(plain["effective_rank"], rel=1e-9)
    assert report["norm"]["mean"] == pytest.approx(scale * plain["norm"]["mean"])
    assert report["norm"]["std"] == pytest.approx(scale * plain["norm"]["std"])
    unit = geometry.unit(torch.from_numpy(scale * x))
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(300, dtype=torch.float64))


@pytest.mark.parametrize("dtype", (np.float16, np.float32))
def test_directions_that_only_rounding_gives_the_class_means_count_for_no_neural_collapse(dtype):
    """They would add the size of a class each: as much spread as the means', times the rows that are averaged."""
    y = np.arange(1000) % 10
    x = (normal(10, 2)[y] + 0.1 * normal(1000, 2)) @ normal(2, 40)
    expected = inspection.inspect(x, labels=y).report["classes"]["neural_collapse"]
    found = inspection.inspect(x.astype(dtype), labels=y).report["classes"]["neural_collapse"]
    assert found == pytest.approx(expected, rel=0.01)


def test_more_dimensions_than_rows_go_by_the_gram_matrix_and_change_no_number():
    x, y = normal(50, 400) + 1, np.arange(50) % 5
    wide = inspection.inspect(x, labels=y).report
    turned = np.linalg.qr(x.T)[1].T  # the same lengths and angles in 50 dimensions
    narrow = inspection.inspect(turned, labels=y).report
    for name in ("mean_cosine", "leading_share", "uniformity"):
        assert wide[name] == pytest.approx(narrow[name], rel=1e-9), name
    assert wide["effective_rank"] == pytest.approx(narrow["effective_rank"], rel=1e-9)
    for name in ("neural_collapse", "variation_ratio", "simplex_distance_centred", "median_spread"):
        assert wide["classes"][name] == pytest.approx(narrow["classes"][name], rel=1e-9), name
    assert ranks(normal(30, 9000))["energy_uncentred"] == pytest.approx(30, rel=0.01)


def test_bad_rows_are_counted_named_and_left_out_on_request():
    x, y = normal(240, 6), np.arange(240) % 3
    x[::4] = 0
    x[7] = np.inf
    good = np.flatnonzero(np.isfinite(x).all(axis=1) & (x != 0).any(axis=1))
    with pytest.raises(
        ValueError, match=r"^file must hold finite rows, got 1 of 240 that are not: 7; .* .skip_bad=True, --skip-bad.$"
    ):
        inspection.inspect(x)
    x[7] = 0
    with pytest.raises(
        ValueError, match=r"^file must hold non-zero rows, got 61 of 240 that are not: 0, 4, 7, 8, 12, "
    ):
        inspection.inspect(x)
    skipped = inspection.inspect(x, labels=y, skip_bad=True).report
    assert skipped["skipped_rows"] == {"count": 61, "first": [0, 4, 7, 8, 12]}
    clean = inspection.inspect(x[good], labels=y[good]).report
    assert {**skipped, "skipped_rows": None} == {**clean, "skipped_rows": None}
    views = normal(240, 6)
    views[1] = np.nan
    assert inspection.inspect(x, views=views, skip_bad=True).report["skipped_rows"]["count"] == 62
    with pytest.raises(ValueError, match="^file must hold at least 2 rows that are finite and not zero, got 0 of 240"):
        inspection.inspect(0 * views[2:].repeat(2, axis=0)[:240], skip_bad=True)


def test_the_command_skips_fails_on_a_verdict_and_reads_bfloat16(clopsim):
    x = normal(90, 8)
    np.save("half.npy", bfloat16(x))
    x[10] = 0
    np.save("bad.npy", x)
    np.save("point.npy", 1 + 1e-3 * normal(90, 8))
    assert clopsim("inspect", "half.npy").exit_code == 0
    done = clopsim("inspect", "bad.npy", "--skip-bad")
    assert done.exit_code == 0, done.output
    assert "rows that are zero or not finite: 10" in done.stdout
    for given, status in (("complete,dimensional", 1), ("dimensional,line", 0)):
        done = clopsim("inspect", "point.npy", "--fail-on", given)
        assert (done.exit_code, done.stdout[:9]) == (status, "COMPLETE:")
    assert json.loads(clopsim("inspect", "half.npy", "--json").stdout)["verdict"] == "none"


def test_a_notebook_asks_the_same():
    point = 1 + 1e-3 * normal(90, 8)
    assert not clopsim.inspect(point, fail_on="complete").holds
    assert clopsim.inspect(point, fail_on=["line"]).holds
    assert clopsim.inspect(torch.randn(40, 6).bfloat16()).holds


def test_what_a_mask_hides_is_not_finite():
    rows = tables.as_rows(np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 4), "file")
    assert np.isnan(rows).tolist() == [[False, False], [False, False], [False, True]]
