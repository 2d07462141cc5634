"""`clopsim inspect`: the numbers are those of metrics, the verdicts are right, wrong files are one plain line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from clopsim.metrics import classes, geometry, inspection, sums, tables
from clopsim.show.inspection import inspection_report


def normal(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def clusters(noise: float, k: int = 5, n: int = 200, d: int = 16) -> np.ndarray:
    return np.eye(d)[np.arange(n) % k] + noise * normal(n, d)


CASES = {
    "complete": (1 + 1e-7 * normal(512, 64)).astype(np.float32) / 8,
    "line": np.where(np.arange(50) % 2, 1, -1)[:, None] * np.ones(16) + 0.01 * normal(50, 16),
    "cluster": clusters(0.01),
    "dimensional": normal(300, 32) * (np.arange(32) < 6) + 1e-3 * normal(300, 32),
    "none": normal(300, 32),
}


@pytest.mark.parametrize("verdict", CASES)
def test_verdicts(verdict):
    report = inspection.inspect(CASES[verdict]).report
    assert report["verdict"] == verdict, report["rule"]
    json.dumps(report, allow_nan=False)


def test_a_collapsed_float32_batch_has_no_centred_rank():
    rank = inspection.inspect(CASES["complete"]).report["effective_rank"]
    assert rank["energy_centred"] == rank["amplitude_centred"] == 0
    assert rank["energy_uncentred"] == pytest.approx(1, abs=1e-6)


def test_a_circle_is_no_cluster_and_wide_clusters_are_none():
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    assert inspection.inspect(np.stack([np.cos(angle), np.sin(angle)], axis=1)).report["verdict"] == "none"
    assert inspection.inspect(clusters(0.5)).report["verdict"] != "cluster"


def test_numbers_are_those_of_metrics_whatever_the_chunk(monkeypatch):
    x, views = 3 * normal(101, 7), normal(101, 7, seed=1)
    y = np.arange(101) % 4 - 1  # class -1: unlabelled
    monkeypatch.setattr(tables, "CHUNK_ELEMENTS", 7 * 13)
    report = inspection.inspect(x, labels=y, views=views).report
    z, other = (torch.nn.functional.normalize(torch.from_numpy(part)) for part in (x, views))
    for name in ("mean_resultant_length", "mean_cosine", "leading_share", "uniformity"):
        assert report[name] == pytest.approx(float(getattr(geometry, name)(z)), rel=1e-10), name
    assert report["harmonic_energy"] == pytest.approx(geometry.harmonic_energy(z).tolist(), rel=1e-10)
    assert report["alignment"] == pytest.approx(float(geometry.alignment(torch.cat([z, other]))), rel=1e-12)
    for spectrum in ("energy", "amplitude"):
        for name, centered in (("uncentred", False), ("centred", True)):
            expected = float(geometry.effective_rank(z, centered=centered, spectrum=spectrum))
            assert report["effective_rank"][f"{spectrum}_{name}"] == pytest.approx(expected, rel=1e-9)
    s = classes.scatter(z[torch.from_numpy(y >= 0)], torch.from_numpy(y[y >= 0]))
    found = report["classes"]
    assert found["neural_collapse"] == pytest.approx(classes.neural_collapse(s), rel=1e-9)
    assert found["angles_uncentred"]["mean"] == pytest.approx(float(classes.mean_angles(s).mean()))
    assert (found["count"], found["labelled"]) == (3, int((y >= 0).sum()))
    assert report["norm"]["mean"] == pytest.approx(np.linalg.norm(x, axis=1).mean())


def test_many_float32_rows_keep_their_rank_and_pairs_are_sampled():
    """A floor that grows with n, as the usual matrix-rank tolerance does, would erase all 64 directions."""
    x = normal(60_000, 64).astype(np.float32)
    report = inspection.inspect(x).report
    assert report["effective_rank"]["energy_uncentred"] == pytest.approx(64, rel=1e-2)
    assert report["sampled_rows"] == sums.SAMPLE
    assert float(geometry.effective_rank(torch.from_numpy(x[:40_000]))) == pytest.approx(64, rel=1e-2)


@pytest.fixture
def clopsim(clopsim):
    np.savez("all.npz", z=clusters(0.01), y=np.arange(200) % 5, other=clusters(0.02), words=np.array(list("ab") * 100))
    np.save("plain.npy", CASES["none"])
    np.save("y.npy", np.arange(300) % 3)
    return clopsim


def test_the_command_prints_the_report_and_draws_it(clopsim):
    result = clopsim("inspect", "all.npz", "--labels", "y", "--views", "other", "--figure", "report.png")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("NONE: ")
    assert "class collapse: all but 1% of 200 sampled embeddings sit on 5 points" in result.stdout
    for shown in ("effective rank, centred", "narrow class", "alignment", "NC1"):
        assert shown in result.stdout
    assert "RankMe" not in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    every = clopsim("inspect", "all.npz", "--labels", "y", "--views", "other", "--all").stdout
    for shown in ("RankMe, raw rows", "alpha-ReQ", "condition number", "LiDAR, views", "to simplex", "mean cosine"):
        assert shown in every
    assert all(len(line) <= 80 for line in every.splitlines())
    first = Path("report.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    clopsim("inspect", "all.npz", "--labels", "y", "--figure", "report.png")
    assert Path("report.png").read_bytes() == first
    document = json.loads(clopsim("inspect", "plain.npy", "--labels", "y.npy", "--json").stdout)
    assert document["verdict"] == "none"
    assert document["classes"]["count"] == 3
    assert json.loads(clopsim("inspect", "all.npz", "--labels", "words", "--json").stdout)["classes"]["count"] == 2


def test_two_files_stand_side_by_side(clopsim):
    np.save("moved.npy", CASES["none"] + 1)
    result = clopsim("inspect", "plain.npy", "moved.npy", "--figure", "two.svg")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("plain.npy: NONE, ")
    assert re.search(r"^observable +plain.npy +moved.npy$", result.stdout, re.MULTILINE)
    assert re.search(r"^modality gap to the first +0\.\d+$", result.stdout, re.MULTILINE)
    assert "alpha-ReQ" not in result.stdout
    every = clopsim("inspect", "plain.npy", "moved.npy", "plain.npy", "moved.npy", "plain.npy", "--all").stdout
    assert "alpha-ReQ" in every
    assert max(map(len, every.splitlines())) <= 80
    assert Path("two.svg").read_bytes().startswith(b"<?xml")
    document = json.loads(clopsim("inspect", "plain.npy", "moved.npy", "--json").stdout)
    assert [each["file"] for each in document["each"]] == ["plain.npy", "moved.npy"]
    one = json.loads(clopsim("inspect", "moved.npy", "--json").stdout)
    assert document["each"][1] == {"file": "moved.npy", **one}
    np.save("point.npy", np.ones((50, 32)))
    assert clopsim("inspect", "plain.npy", "point.npy", "--fail-on", "complete").exit_code == 1
    assert clopsim("inspect", "plain.npy", "moved.npy", "--fail-on", "complete").exit_code == 0


def spoil(name: str) -> None:
    x = CASES["none"].copy()
    match name:
        case "nan":
            x[7, 3] = np.nan
        case "zero":
            x[5] = 0
        case "flat":
            x = x[0]
        case "complex":
            x = x.astype(complex)
        case "objects":
            x = np.array([{}, []], dtype=object)
        case "single":
            x = x[:1]
    np.save(f"{name}.npy", x, allow_pickle=True)


WRONG = [
    ("nan.npy", "FILE must hold finite rows, got 1 of 300 that are not: 7; mend them, or leave"),
    ("zero.npy", "FILE must hold non-zero rows, got 1 of 300 that are not: 5; mend them, or leave"),
    ("flat.npy", "FILE must hold a table of real numbers, rows x dimensions, got float64 of shape (32,)"),
    ("complex.npy", "FILE must hold a table of real numbers, rows x dimensions, got complex128"),
    ("objects.npy", "FILE must hold plain numbers (pickles are never loaded), got 'objects.npy'"),
    ("single.npy", "FILE must hold at least 2 rows and 2 dimensions, got shape (1, 32)"),
    ("text.npy", "FILE must hold plain numbers (pickles are never loaded), got 'text.npy'"),
    ("text.npz", "FILE must hold plain numbers (pickles are never loaded), got 'text.npz'"),
    ("empty.npz", "FILE must hold plain numbers (pickles are never loaded), got 'empty.npz'"),
    ("missing.npy", "FILE must exist, got 'missing.npy'; check the path"),
    ("folder.npy", "FILE must be readable, got 'folder.npy'"),
    ("table.txt", "FILE must end in .npy, .npz, .pt, .pth, .safetensors, .csv, .parquet, or be a folder"),
    ("table.csv", "FILE must exist, got 'table.csv'; check the path"),
    ("plain.npy " * 6, "FILE must be given one to 5 times, got 6; name a folder, or a pattern in quotation marks"),
    ("plain.npy gone.npy", "FILE must exist, got 'gone.npy'"),
    (
        "all.npz --key u",
        "FILE must hold an array 'u', got 'all.npz' with z, y, other, words; name one of them with --key",
    ),
    ("plain.npy flat.npy", "rows x dimensions, got float64 of shape (32,); in 'flat.npy'"),
    ("plain.npy zero.npy", "FILE must hold non-zero rows, got 1 of 300 that are not: 5; mend them, or leave"),
    ("zero.npy plain.npy", "--skip-bad); in 'zero.npy'"),
    ("plain.npy --key z", "--key must be left out for a .npy file, got 'z'; 'plain.npy' holds one array"),
    ("plain.npy --labels infinite.npy", "--labels must be whole numbers or words, got float64"),
    ("all.npz --labels u", "--labels must hold an array 'u', got 'all.npz'"),
    ("all.npz --labels z", "--labels must have one entry per row, shape (200,), got (200, 16)"),
    ("all.npz --labels missing.npy", "--labels must exist, got 'missing.npy'"),
    ("plain.npy --labels y", "--labels must be a file beside a .npy FILE, got 'y'; a key needs a FILE that has some"),
    ("plain.npy --labels one.npy", "--labels must name at least 2 classes, got 1; numbers below 0 and nan"),
    ("all.npz --views plain.npy", "--views must have the shape of the embeddings (200, 16), got (300, 32)"),
    ("plain.npy --fail-on complete,flat", "--fail-on must name verdicts (complete, line, cluster, dimensional, views"),
    ("plain.npy --figure report.txt", "--figure must end in .png, .pdf, .svg, got 'report.txt'"),
    ("plain.npy --figure nowhere/report.png", "--figure must be writable, got 'nowhere/report.png'"),
]


@pytest.mark.parametrize("words, message", WRONG)
def test_wrong_input_is_one_plain_line_and_status_2(clopsim, words, message):
    Path("text.npy").write_text("not numpy")
    Path("text.npz").write_text("not numpy")
    Path("empty.npz").write_text("")
    Path("folder.npy").mkdir()
    np.save("one.npy", np.zeros(300, dtype=int))
    np.save("infinite.npy", np.where(np.arange(300) % 2, np.inf, 1))
    for name in ("nan", "zero", "flat", "complex", "objects", "single"):
        spoil(name)
    before = sorted(Path().rglob("*"))
    result = clopsim("inspect", *words.split())
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("clopsim: ")
    assert message in result.stderr
    assert sorted(Path().rglob("*")) == before


def test_a_norm_beside_unit_rows_is_their_length_before(clopsim):
    x = 5 * normal(60, 6, seed=8)
    norm = np.linalg.norm(x, axis=1)
    z = x / norm[:, None]
    raw = inspection.inspect(x).report
    for name, content, stored in (
        ("run.npz", {"z": z, "norm": norm}, True),
        ("half.npz", {"z": z.astype(np.float16), "norm": norm.astype(np.float32)}, True),
        ("raw.npz", {"z": x, "norm": 2 * norm}, False),
        ("short.npz", {"z": z, "norm": norm[1:]}, False),
        ("gap.npz", {"z": z, "norm": np.where(np.arange(60) == 3, np.nan, norm)}, False),
        ("nothing.npz", {"z": z, "norm": 0 * norm}, False),
        ("words.npz", {"z": z, "norm": norm.astype(str)}, False),
        ("objects.npz", {"z": z, "norm": np.array([{}], dtype=object)}, False),
    ):
        np.savez(name, **content)
        found = json.loads(clopsim("inspect", name, "--json").stdout)
        assert found["norm_stored"] is stored, name
        lengths = norm if stored else np.linalg.norm(content["z"], axis=1)
        assert found["norm"]["mean"] == pytest.approx(lengths.mean(), rel=1e-3), name
        assert ("(the file's norm)" in " ".join(clopsim("inspect", name).stdout.split())) is stored
        if stored:
            amplitude = raw["effective_rank"]["amplitude_raw"]
            assert found["effective_rank"]["amplitude_raw"] == pytest.approx(amplitude, rel=1e-3)
    with_bad = np.concatenate([z, np.zeros((1, 6))])
    np.savez("bad.npz", z=with_bad, norm=np.append(norm, 0))
    assert json.loads(clopsim("inspect", "bad.npz", "--skip-bad", "--json").stdout)["norm"] == pytest.approx(
        raw["norm"]
    )


def test_a_rank_of_some_rows_of_a_class_says_so(monkeypatch):
    x, y = normal(400, 8), np.arange(400) % 4
    assert "drawn" not in inspection_report(inspection.inspect(x, labels=y).report)
    monkeypatch.setattr(inspection, "CLASS_ROWS", 4 * 32)
    assert re.search(
        r"spread of 100 rows, rank [\d.]+ of 32 drawn",
        " ".join(inspection_report(inspection.inspect(x, labels=y).report).split()),
    )


def test_a_narrow_class_beside_a_wide_one_is_named_with_its_rank():
    x = normal(600, 20, seed=4)
    y = np.where(np.arange(600) < 40, 8, 3)
    x[:40] = x[0] + 1e-3 * x[:40]
    found = inspection.inspect(x, labels=y).report["classes"]
    wide, narrow = found["per_class"]
    z = torch.nn.functional.normalize(torch.from_numpy(x))
    for one, rows in ((wide, z[40:]), (narrow, z[:40])):
        assert one["effective_rank"] == pytest.approx(float(geometry.effective_rank(rows)))
        assert one["spread"] == pytest.approx(float((rows - rows.mean(dim=0)).square().sum(dim=1).mean()), rel=1e-6)
    assert found["worst"][0] == narrow == {**narrow, "class": 8, "rows": 40}
    assert "narrow class 8" in inspection_report(inspection.inspect(x, labels=y).report)


def test_a_class_of_one_row_has_no_spread_and_is_not_perfect():
    x = normal(64, 6, seed=5)
    paired = np.arange(64) // 2
    mixed = np.where(np.arange(64) < 40, paired, 100 + np.arange(64))
    found = inspection.inspect(x, labels=mixed).report["classes"]
    assert (found["count"], found["singletons"]) == (44, 24)
    alone = inspection.inspect(x[:40], labels=paired[:40]).report["classes"]
    for name in ("neural_collapse", "variation_ratio", "median_spread"):
        assert found[name] == pytest.approx(alone[name]), name
    assert found["per_class"][-1] == {"class": 163, "rows": 1, "spread": None, "effective_rank": None}
    every = inspection.inspect(x, labels=np.arange(64)).report["classes"]
    assert every["neural_collapse"] is every["variation_ratio"] is None
    assert every["worst"] == []


def test_thousands_of_classes_are_measured():
    y = np.arange(15_000) // 3
    x = normal(5000, 8, seed=6)[y] + 0.2 * normal(15_000, 8, seed=7)
    found = inspection.inspect(x, labels=y).report["classes"]
    z = torch.nn.functional.normalize(torch.from_numpy(x)).reshape(5000, 3, 8)
    means = z.mean(dim=1)
    within = (z - means[:, None]).square().sum() / 15_000
    between = (means - means.mean(dim=0)).square().sum() / 5000
    assert found["variation_ratio"] == pytest.approx(float(within / between))
    assert len(found["per_class"]) == 5000
