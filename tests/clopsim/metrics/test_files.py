"""Every format gives the same table, and what is no table gives one sentence."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from clopsim.metrics import files, tables

RNG = np.random.default_rng(3)
Z = RNG.normal(size=(30, 6)).astype(np.float32)
Y = np.arange(30) % 3


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_safetensors(name: str) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    save({"z": torch.from_numpy(Z), "y": torch.from_numpy(Y)}, name)


def write_columns() -> pd.DataFrame:
    table = pd.DataFrame(Z, columns=[f"e{k}" for k in range(6)])
    table["y"] = Y
    table["word"] = np.array(["cat", "dog", "owl"])[Y]
    return table


def write_lists(name: str) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"id": np.arange(30), "embedding": list(Z), "y": Y}).to_parquet(name)


WRITE = {
    "a.npy": lambda name: np.save(name, Z),
    "a.npz": lambda name: np.savez(name, z=Z, y=Y),
    "one.pt": lambda name: torch.save(torch.from_numpy(Z), name),
    "several.pth": lambda name: torch.save(
        {"embeddings": torch.from_numpy(Z), "y": torch.from_numpy(Y), "epoch": 3}, name
    ),
    "a.safetensors": write_safetensors,
    "bare.csv": lambda name: np.savetxt(name, Z, delimiter=","),
    "named.csv": lambda name: write_columns().drop(columns="word").to_csv(name, index=False),
    "columns.parquet": lambda name: pytest.importorskip("pyarrow") and write_columns().to_parquet(name),
    "lists.parquet": write_lists,
}
KEY = {"columns.parquet": "e"}


@pytest.mark.parametrize("name", WRITE)
def test_every_format_gives_the_table_and_its_labels(name):
    WRITE[name](name)
    rows = files.load(Path(name), key=KEY.get(name), beside=("y",))
    assert rows.shape == (30, 6)
    assert np.array_equal(np.asarray(rows, dtype=np.float32), Z)
    if name not in ("a.npy", "one.pt", "bare.csv"):
        assert np.array_equal(files.load(Path(name), key="y"), Y)


def test_words_are_labels():
    pytest.importorskip("pyarrow")
    write_columns().to_parquet("a.parquet")
    write_columns().to_csv("a.csv", index=False)
    for name in ("a.parquet", "a.csv"):
        assert files.load(Path(name), key="word").tolist() == write_columns()["word"].tolist()


def test_bfloat16_keeps_its_precision():
    torch.save(torch.from_numpy(Z).bfloat16(), "a.pt")
    rows = files.load(Path("a.pt"))
    assert tables.Table(rows, "file", np.arange(30)).eps == torch.finfo(torch.bfloat16).eps
    assert np.array_equal(tables.exact(rows), torch.from_numpy(Z).bfloat16().double().numpy())


@pytest.mark.parametrize("place", ("shards", "shards/part_*.npy"))
def test_shards_are_one_table_in_their_natural_order(place):
    Path("shards").mkdir()
    for k, part in enumerate(np.array_split(Z, 12)):
        np.save(f"shards/part_{k}.npy", part)
    rows = files.load(Path(place))
    assert rows.shape == (30, 6)
    assert np.array_equal(rows[:], Z)
    assert np.array_equal(rows[5:17], Z[5:17])
    some = np.array([0, 3, 4, 11, 29, 2])
    assert np.array_equal(rows[some], Z[some])


def test_shards_keep_their_labels_beside_them():
    for k in range(3):
        np.savez(f"part_{k}.npz", z=Z[10 * k : 10 * k + 10], y=Y[10 * k : 10 * k + 10])
    assert np.array_equal(files.load(Path("part_*.npz"), beside=("y",))[:], Z)
    assert np.array_equal(files.load(Path("part_*.npz"), key="y")[:], Y)


class Runs:
    """Would write a file while it is unpickled."""

    def __reduce__(self):
        return Path.write_text, (Path("ran"), "")


def spoil() -> None:
    Path("code.pt").write_bytes(pickle.dumps(Runs()))
    torch.save({"epoch": 3}, "empty.pt")
    torch.save([torch.zeros(2)], "list.pt")
    for name in ("cut.pt", "cut.safetensors", "cut.parquet", "cut.csv"):
        Path(name).write_bytes(b"\0\1")
    pd.DataFrame({"id": np.arange(30), **write_columns()}).to_csv("id.csv", index=False)
    for name, rows in (("mixed/a.npy", Z), ("mixed/b.npy", Z[:, :3]), ("kinds/a.npy", Z)):
        Path(name).parent.mkdir(exist_ok=True)
        np.save(name, rows)
    np.savez("kinds/b.npz", z=Z)
    Path("none").mkdir()
    Path("table.txt").write_text("1 2")


WRONG = [
    ("code.pt", None, "must hold plain numbers"),
    ("empty.pt", None, "must hold an array 'z', got 'empty.pt' with none"),
    ("list.pt", None, "a list, neither a tensor nor a dictionary"),
    ("cut.pt", None, "must hold plain numbers"),
    ("cut.safetensors", None, "must hold plain numbers"),
    ("cut.parquet", None, "must hold plain numbers"),
    ("id.csv", None, "must hold nothing but embeddings, got 'id.csv' with id, y, word beside them"),
    ("id.csv", "u", "must hold columns 'u', got 'id.csv' with id, e0"),
    ("mixed", None, "must name shards alike, got float32 of shape (30, 3) in 'b.npy' beside float32 of shape (30, 6)"),
    ("kinds/*", None, "must name files of one kind"),
    ("none", None, "must hold files that end in .npy"),
    ("part_*.npy", None, "must match at least one file, got 'part_*.npy'"),
    ("table.txt", None, "must end in .npy, .npz"),
    ("gone.parquet", None, "must exist, got 'gone.parquet'"),
]


@pytest.mark.parametrize("name, key, message", WRONG)
def test_what_is_no_table_is_one_sentence_and_nothing_runs(name, key, message):
    spoil()
    with pytest.raises(ValueError) as error:
        files.load(Path(name), key=key)
    assert str(error.value).startswith("file must")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("ran").exists()


def test_a_missing_package_is_named(monkeypatch):
    Path("a.safetensors").write_bytes(b"")
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^file needs the package safetensors .* pip install 'clopsim\[files\]'"):
        files.load(Path("a.safetensors"))
