"""Every source, the split, what the loss sees of the labels, and every way in which data can be wrong."""

import gzip
import hashlib
import json

import numpy as np
import pytest
import torch

from clopsim.training import datasets
from clopsim.training.datasets import load, read, visible_labels
from clopsim.training.recipe import Training


def test_clusters_and_lines_are_drawn():
    clusters = read(Training(data="clusters", samples=60, features=5, classes=3, noise=0.0))
    assert (clusters.x.shape, clusters.kind) == ((60, 5), "vectors")
    assert len(np.unique(clusters.x, axis=0)) == 3
    lines = read(Training(data="lines", features=3, classes=3, noise=0.0))
    assert (lines.x.shape, lines.kind) == ((512, 3), "lines")
    assert len(np.unique(lines.x.round(9), axis=0)) == 6
    with pytest.raises(ValueError, match="^classes must be <= samples, got 5 classes and 4 samples"):
        read(Training(data="clusters", samples=4, classes=5))


def test_digits_are_images_of_mean_0_and_deviation_1():
    data = load(Training(data="digits"), dtype=torch.float64)
    assert data.x.shape == (1438, 1, 8, 8)
    assert data.held_x.shape == (359, 1, 8, 8)
    assert (data.classes, data.views.kind, data.shape) == (10, "images", (1, 8, 8))
    assert float(data.x.mean()) == pytest.approx(0, abs=1e-9)
    assert float(data.x.std(correction=0)) == pytest.approx(1)
    assert 0.9 < float(data.held_x.std()) < 1.1  # the scale of the training part, not its own
    assert torch.equal(data.labels, data.y)


def test_a_table_gets_row_indices_and_nothing_held_out():
    data = load(Training(data="clusters", samples=50, embedder="table", batch=0))
    assert torch.equal(data.x, torch.arange(40))
    assert (data.views.kind, data.views.rows) == ("rows", 40)
    assert len(data.held_x) == len(data.held_y) == 0


def test_the_split_is_stratified_seeded_and_disjoint():
    first = load(Training(data="digits", held_out=0.25, seed=1))
    again, other = load(Training(data="digits", held_out=0.25, seed=1)), load(Training(data="digits", held_out=0.25))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.y, other.y)
    assert len(first.y) + len(first.held_y) == 1797
    counts = torch.bincount(first.held_y) / (torch.bincount(first.y) + torch.bincount(first.held_y))
    assert float((counts - 0.25).abs().max()) < 0.005
    assert len(load(Training(data="digits", held_out=0.0)).held_y) == 0


def test_fewer_samples_keep_the_classes():
    data = load(Training(data="digits", samples=100, held_out=0.0, batch=0))
    assert torch.bincount(data.y).tolist() == [10] * 10
    with pytest.raises(ValueError, match="^samples must be <= the 1797 of digits, got 2000; 0 takes all"):
        load(Training(data="digits", samples=2000))


def test_imbalance_is_the_ratio_of_largest_to_smallest_and_leaves_the_held_out_data():
    recipe = Training(data="digits", imbalance=10.0, batch=0)
    thin, whole = load(recipe), load(Training(data="digits"))
    counts = torch.bincount(thin.y)
    assert int(counts[0]) / int(counts[-1]) == pytest.approx(10, rel=0.1)
    assert (counts.diff() <= 0).all()
    assert torch.equal(thin.held_y, whole.held_y)


def test_labelled_share_is_stratified_and_drawn_once():
    y = np.repeat(np.arange(10), 50)
    labels = visible_labels(Training(labelled=0.1), y, 10)
    seen = labels >= 0
    assert np.bincount(labels[seen]).tolist() == [5] * 10
    np.testing.assert_array_equal(labels[seen], y[seen])
    np.testing.assert_array_equal(labels, visible_labels(Training(labelled=0.1), y, 10))
    assert not np.array_equal(labels, visible_labels(Training(labelled=0.1, seed=1), y, 10))
    assert (visible_labels(Training(labelled=0.0), y, 10) == -1).all()
    assert (visible_labels(Training(), y, 10) == y).all()
    assert (visible_labels(Training(labelled=0.5), np.full(6, -1), 0) == -1).all()


def test_label_noise_names_another_class():
    y = np.repeat(np.arange(4), 100)
    labels = visible_labels(Training(labelled=0.5, label_noise=0.3), y, 4)
    seen = labels >= 0
    assert seen.sum() == 200
    assert (labels[seen] != y[seen]).sum() == 60
    assert labels.max() < 4
    assert (visible_labels(Training(label_noise=1.0), y, 4) != y).all()


@pytest.mark.parametrize(
    "fields, y, rule",
    [
        ({"imbalance": 2.0}, None, "^imbalance must be 1 for data of fewer than 2 classes, got 2.0"),
        ({"imbalance": 2.0}, [5] * 40, "^imbalance must be 1 for data of fewer than 2 classes, got 2.0"),
        ({"imbalance": 9.0}, [0, 1] * 20, "^imbalance must be <= 8, or its smallest class would be empty, got 9.0"),
        ({"label_noise": 0.5}, None, "^label_noise must be 0 for data of fewer than 2 classes, got 0.5"),
        ({"label_noise": 0.5}, [5] * 40, "^label_noise must be 0 for data of fewer than 2 classes, got 0.5"),
        ({"labelled": 0.01}, [0, 1] * 20, "^labelled must leave a label, got 0.01 of 16 labels; raise it"),
        ({"labelled": 0.0, "loss": "simo"}, [0, 1] * 20, "^labelled must be > 0 for simo, which is 0 without a label"),
        ({"loss": "unhinged"}, None, "^loss must be one of infonce, .* for data without labels, got 'unhinged'"),
    ],
)  # fmt: skip
def test_settings_of_labels_that_would_change_nothing_are_refused(tmp_path, fields, y, rule):
    file = tmp_path / "mine.npz"
    x = np.random.default_rng(0).standard_normal((40, 3))
    np.savez(file, x=x, **({} if y is None else {"y": y}))
    with pytest.raises(ValueError, match=rule):
        load(Training(data=str(file), batch=0, held_out=0.6 if y == [0, 1] * 20 else 0.2, **fields))


def test_unlabelled_samples_are_not_thinned(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, x=np.random.default_rng(0).standard_normal((60, 3)), y=[-1, 0, 1] * 20)
    data = load(Training(data=str(file), batch=0, held_out=0.0, imbalance=4.0))
    assert [int((data.y == k).sum()) for k in (-1, 0, 1)] == [20, 20, 5]


@pytest.mark.parametrize(
    "shape, inputs, kind",
    [
        ((20, 5), (5,), "vectors"),
        ((20, 6, 7), (1, 6, 7), "images"),
        ((20, 3, 6, 7), (3, 6, 7), "images"),
        ((20, 6, 7, 3), (3, 6, 7), "images"),
        ((20, 6, 7, 4), (4, 6, 7), "images"),
    ],
)
def test_npz_files(tmp_path, shape, inputs, kind):
    x = np.random.default_rng(0).integers(0, 256, size=shape).astype(np.uint8)
    file = tmp_path / "mine.npz"
    np.savez(file, x=x, y=np.array(["cat", "dog"] * 10))
    data = load(Training(data=str(file), held_out=0.2, batch=0))
    assert (data.shape, data.views.kind, data.classes) == (inputs, kind, 2)
    assert torch.bincount(data.y).tolist() == [8, 8]
    source = read(Training(data=str(file)))
    moved = np.moveaxis(x, 3, 1) if shape[1:3] == (6, 7) and len(shape) == 4 else x
    np.testing.assert_array_equal(source.x.ravel(), moved.ravel())
    assert source.y.tolist() == [0, 1] * 10


def test_npz_without_labels_or_with_some(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, x=np.arange(40.0).reshape(20, 2))
    data = load(Training(data=str(file), batch=0))
    assert data.classes == 0
    assert (data.labels == -1).all()
    np.savez(file, x=np.arange(40.0).reshape(20, 2), y=[-1, 7, 3, 3] * 5)
    assert read(Training(data=str(file))).y[:4].tolist() == [-1, 1, 0, 0]


def test_wrong_npz_files(tmp_path):
    file = tmp_path / "mine.npz"

    def refused(rule, **fields):
        with pytest.raises(ValueError, match=rule):
            load(Training(data=str(file), **fields))

    refused(r"^data must be an \.npz file that can be read, got '.*mine.npz' \(no such file\)")
    file.write_text("not a zip")
    refused(r"^data must be an \.npz file that can be read")
    np.savez(file, z=np.ones((4, 2)))
    refused("^data must hold an array x, got none in '.*mine.npz'")
    np.savez(file, x=np.ones(4))
    refused("^data must hold x of numbers in 2 to 4 dimensions, got float64")
    np.savez(file, x=np.array([["a", "b"]]))
    refused("^data must hold x of numbers")
    np.savez(file, x=np.array([[1, None]], dtype=object))
    refused(r"^data must be an \.npz file that can be read")  # pickles are never opened
    np.savez(file, x=np.full((4, 2), np.nan))
    refused("^data must hold finite numbers only")
    np.savez(file, x=np.ones((4, 2)), y=np.ones(3))
    refused("^data must hold one y for each x")
    for y in ([0.5, 1.0, 2.0, 3.0], [np.inf, 0, 1, 1]):
        np.savez(file, x=np.ones((4, 2)), y=y)
        refused("^data must hold whole numbers or words as y, got float64 with others; number the classes")
    np.savez(file, x=np.full((4, 2), 1e39))
    refused("^data must hold numbers that float32 holds, got 1e\\+39 in '.*mine.npz'; scale it", batch=0)
    with file.open("wb") as stream:
        np.save(stream, np.ones((4, 2)))
    refused(r"^data must be an \.npz file that can be read, got '.*mine.npz' \(a single array\)")
    np.savez(file, x=np.ones((40, 2)))
    refused("^prototypes must be none for data without labels, got 'orthonormal'", prototypes="orthonormal", batch=0)
    refused(
        "^loss must be one of infonce, dcl, clip, vicreg, .* for data without labels, got 'supcon'",
        loss="supcon",
        batch=0,
    )
    refused("^batch must be <= the 32 training samples, got 256; 0 takes them all")
    np.savez(file, x=np.ones((2, 2)))
    refused("^samples must leave at least 2 to train on, got 1", batch=0, held_out=0.5)


def openml_cache(home, name, x, y, number=77):
    """The files that scikit-learn keeps of an OpenML set; from them it reads without the network."""
    api = home / "openml" / "openml.org" / "api" / "v1" / "json" / "data"
    columns = [f"pixel{k}" for k in range(x.shape[1])]
    rows = "\n".join(",".join(map(str, [*pixels, label])) for pixels, label in zip(x, y, strict=True))
    head = "".join(f"@ATTRIBUTE {column} REAL\n" for column in columns)
    words = ",".join(sorted(set(y)))
    arff = f"@RELATION small\n{head}@ATTRIBUTE class {{{words}}}\n@DATA\n{rows}\n"
    plain = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
    features = [
        {**plain, "index": str(k), "name": column, "data_type": "numeric", "is_target": "false"}
        for k, column in enumerate(columns)
    ]
    features.append(
        {
            **plain, "index": str(len(columns)), "name": "class", "data_type": "nominal", "is_target": "true",
            "nominal_value": sorted(set(y)),
        }
    )  # fmt: skip
    description = {
        "id": str(number), "name": name, "version": "1", "format": "ARFF", "status": "active", "description": "small",
        "url": f"https://api.openml.org/data/v1/download/{number}/small.arff", "file_id": str(number),
        "md5_checksum": hashlib.md5(arff.encode()).hexdigest(),
    }  # fmt: skip
    files = {
        api / "list" / "data_name" / name.lower() / "limit" / "2" / "status" / "active" / ".gz": {
            "data": {"dataset": [{"did": number, "name": name, "version": 1, "status": "active"}]}
        },
        api / f"{number}.gz": {"data_set_description": description},
        api / "features" / f"{number}.gz": {"data_features": {"feature": features}},
        api / "qualities" / f"{number}.gz": {
            "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": str(len(y))}]}
        },
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
    path = home / "openml" / "openml.org" / "data" / "v1" / "download" / str(number) / "small.arff.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(arff.encode()))


@pytest.mark.parametrize("name, channels, side", [("Fashion-MNIST", 1, 4), ("CIFAR_10", 3, 5)])
def test_openml_images_by_name_from_a_local_cache(tmp_path, monkeypatch, name, channels, side):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    x = np.random.default_rng(0).integers(0, 256, size=(30, channels * side**2))
    openml_cache(tmp_path, name, x, ["boot", "shirt", "bag"] * 10)
    datasets._fetched.cache_clear()
    source = read(Training(data=f"openml:{name}"))
    assert (source.x.shape, source.kind) == ((30, channels, side, side), "images")
    np.testing.assert_array_equal(source.x.reshape(30, -1), x)
    assert source.y.tolist() == [1, 2, 0] * 10
    data = load(Training(data=f"openml:{name}", batch=0))
    assert (len(data.y), data.classes, data.shape) == (24, 3, (channels, side, side))
    assert datasets._fetched.cache_info().misses == 1  # a large set is read once for all networks of a sweep
    assert (data.views.black, data.views.white) == pytest.approx((float(data.x.min()), float(data.x.max())))


def test_openml_sets_that_are_no_images_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    openml_cache(tmp_path, "wide", np.ones((4, 7), int), ["a", "b"] * 2)
    with pytest.raises(ValueError, match="^data must hold square images of 1 or 3 channels, got 7 columns"):
        read(Training(data="openml:wide"))

    def no_network(*words, **more):
        raise OSError("no network")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", no_network)
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda seconds: None)
    with pytest.raises(
        ValueError, match=r"^data must name an OpenML set that can be read, got 'openml:cifar' \(no net"
    ):
        read(Training(data="openml:cifar"))


def test_a_constant_picture_is_not_divided_by_zero(tmp_path):
    np.savez(tmp_path / "flat.npz", x=np.full((10, 4, 4), 7))
    assert (load(Training(data=str(tmp_path / "flat.npz"), batch=0)).x == 0).all()


@pytest.mark.parametrize("embedder, what", (("mlp", "data that are no pictures"), ("table", "a table of rows")))
@pytest.mark.parametrize("name, value, nothing", (("crop", 0.5, 1.0), ("flip", True, False), ("jitter", 0.5, 0.0)))
def test_settings_of_pictures_that_would_change_nothing_are_refused(embedder, what, name, value, nothing):
    recipe = Training(data="clusters" if embedder == "mlp" else "digits", embedder=embedder, batch=0, **{name: value})
    with pytest.raises(ValueError, match=f"^{name} must be {nothing} for {what}, got {value}; leave it out"):
        load(recipe)
