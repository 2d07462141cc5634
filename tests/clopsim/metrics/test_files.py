"""Every format gives the same table, and what is no table gives one sentence."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from clopsim.metrics import classes, files, tables

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
    torch.save({"epoch": 3, "state_dict": {"w": torch.zeros(2)}}, "nested.pt")
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
    (
        "nested.pt",
        None,
        "got 'nested.pt' with dictionaries in it (state_dict), as a checkpoint has; save the embeddings",
    ),
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


CSV = {
    "an index": {},
    "numbered columns": {"columns": range(6), "index": False},
    "numbered columns and an index": {"columns": range(6)},
    "semicolons": {"index": False, "sep": ";"},
    "decimal commas": {"index": False, "sep": ";", "decimal": ","},
    "tabs": {"index": False, "sep": "\t"},
    "blanks": {"index": False, "header": False, "sep": " "},
}


@pytest.mark.parametrize("form", CSV)
def test_forms_of_csv(form):
    options = dict(CSV[form])
    pd.DataFrame(Z, columns=options.pop("columns", [f"e{k}" for k in range(6)])).to_csv("a.csv", **options)
    np.testing.assert_allclose(files.load(Path("a.csv")), Z, rtol=1e-5)


def test_a_dead_unit_written_as_a_whole_number_is_a_dimension():
    table = pd.DataFrame(Z, columns=[f"e{k}" for k in range(6)]).assign(e2=0)
    table.to_csv("dead.csv", index=False)
    assert files.load(Path("dead.csv")).shape == (30, 6)
    table.assign(e2=np.arange(30)).to_csv("count.csv", index=False)
    with pytest.raises(ValueError, match="must hold nothing but embeddings, got 'count.csv' with e2 beside them"):
        files.load(Path("count.csv"))
    assert files.load(Path("count.csv"), key="e").shape == (30, 6)


def test_missing_words_are_unlabelled_and_missing_rows_bad():
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({"embedding": [None if k == 4 else row for k, row in enumerate(Z)]})
    table["word"] = np.array(["cat", "dog", None], dtype=object)[Y]
    table.to_parquet("gaps.parquet")
    rows = files.load(Path("gaps.parquet"), beside=("word",))
    assert np.flatnonzero(np.isnan(rows).all(axis=1)).tolist() == [4]
    np.testing.assert_array_equal(np.delete(rows, 4, axis=0), np.delete(Z, 4, axis=0))
    write_columns().assign(word=table["word"]).to_csv("gaps.csv", index=False)
    for name in ("gaps.parquet", "gaps.csv"):
        names, y = classes.numbered(files.load(Path(name), key="word", name="labels"))
        assert names.tolist() == ["cat", "dog"]
        np.testing.assert_array_equal(y, np.where(Y == 2, -1, Y))


def test_labels_of_shards_may_differ_in_length_and_have_gaps():
    Path("parts").mkdir()
    np.savez("parts/0.npz", z=Z[:10], word=np.array(["ox"] * 10), y=Y[:10])
    np.savez("parts/1.npz", z=Z[10:], word=np.array(["zebra"] * 20), y=np.r_[np.nan, Y[11:]])
    assert set(files.load(Path("parts"), key="word", name="labels")[:]) == {"ox", "zebra"}
    np.testing.assert_array_equal(files.load(Path("parts"), key="y", name="labels")[:], np.r_[Y[:10], np.nan, Y[11:]])


def test_a_pt_of_arrays_is_refused_without_the_advice_to_run_it():
    torch.save({"z": Z}, "arrays.pt")
    with pytest.raises(ValueError, match="or holding more than numbers") as error:
        files.load(Path("arrays.pt"))
    assert "weights_only" not in str(error.value)
    torch.save({"z": torch.from_numpy(Z), "word": ["ox", "cow", "elk"] * 10}, "words.pt")
    assert files.load(Path("words.pt"), key="word", name="labels").tolist() == ["ox", "cow", "elk"] * 10
    np.testing.assert_array_equal(files.load(Path("words.pt")), Z)
