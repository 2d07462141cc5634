"""The state of a run as arrays and as a file: nothing is rounded, and a file is only for its own recipe."""

import dataclasses

import pytest
import torch

from clopsim.training import checkpoint
from clopsim.training.checkpoint import State
from clopsim.training.recipe import Training

RECIPE = Training()
STATE = State(3, {"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([0.5, 0.1])}, {"loss": [0.1, float("nan")]})


def test_a_state_comes_back_bit_for_bit(tmp_path):
    checkpoint.save(tmp_path / "x.pt", RECIPE, STATE)
    back = checkpoint.load(tmp_path / "x.pt", RECIPE)
    assert back.step == 3
    assert torch.equal(back.params["a"], STATE.params["a"])
    assert torch.equal(back.velocity["a"], STATE.velocity["a"])
    assert repr(back.records) == repr(STATE.records)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


def test_the_arrays_of_a_state_give_it_back_bit_for_bit():
    state = dataclasses.replace(STATE, squares={"a": torch.tensor([3.0, 4.0], dtype=torch.float64)})
    arrays = checkpoint.to_arrays(state)
    assert all(values.dtype.kind in "fi" for values in arrays.values())
    back = checkpoint.from_arrays(arrays)
    assert (back.step, repr(back.records)) == (3, repr(STATE.records))
    for part in ("params", "velocity", "squares"):
        mine, theirs = getattr(back, part)["a"], getattr(state, part)["a"]
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine, theirs)
    assert checkpoint.from_arrays(checkpoint.to_arrays(State(0, {}, {}, {}))) == State(0, {}, {}, {})


def test_one_state_has_one_file_resumed_or_not(tmp_path):
    again = checkpoint.from_arrays(checkpoint.to_arrays(STATE))
    for name, state in (("a", STATE), ("b", again)):
        (tmp_path / name).mkdir()
        checkpoint.save(tmp_path / name / "x.pt", RECIPE, state)
    assert (tmp_path / "a/x.pt").read_bytes() == (tmp_path / "b/x.pt").read_bytes()


def test_wrong_files(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(ValueError, match="^resume needs the checkpoint of an unfinished run, got none at '.*x.pt'"):
        checkpoint.load(path, RECIPE)
    checkpoint.save(path, RECIPE, STATE)
    with pytest.raises(ValueError, match="^rate must be 0.1 as in the run that is resumed, got 0.2"):
        checkpoint.load(path, dataclasses.replace(RECIPE, rate=0.2))
    whole = path.read_bytes()
    for damage in (b"", b"not a checkpoint", whole[: len(whole) // 2]):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match="^resume needs an intact checkpoint, got a damaged file '.*x.pt'"):
            checkpoint.load(path, RECIPE)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="^resume needs an intact checkpoint"):
        checkpoint.load(path, RECIPE)
    torch.save({"format": 0, "recipe": {}, "step": 0, "params": {}, "velocity": {}, "records": {}}, path)
    with pytest.raises(ValueError, match="^resume needs a checkpoint of format 3, got 0"):
        checkpoint.load(path, RECIPE)


def test_the_second_moments_of_adamw_are_kept(tmp_path):
    recipe = dataclasses.replace(RECIPE, optimizer="adamw")
    checkpoint.save(tmp_path / "x.pt", recipe, dataclasses.replace(STATE, squares={"a": torch.tensor([3.0, 4.0])}))
    assert checkpoint.load(tmp_path / "x.pt", recipe).squares["a"].tolist() == [3, 4]
    with pytest.raises(ValueError, match="^optimizer must be 'adamw' as in the run that is resumed, got 'sgd'"):
        checkpoint.load(tmp_path / "x.pt", RECIPE)


def test_a_file_from_before_the_optimisers_is_one_of_sgd(tmp_path):
    options = {name: value for name, value in dataclasses.asdict(RECIPE).items() if name not in ("optimizer", "warmup")}
    old = {"step": 3, "params": STATE.params, "velocity": STATE.velocity, "records": STATE.records}
    torch.save({"format": 2, "recipe": options, **old}, tmp_path / "x.pt")
    back = checkpoint.load(tmp_path / "x.pt", RECIPE)
    assert (back.step, back.squares) == (3, {})
    with pytest.raises(ValueError, match="^warmup must be 0 as in the run that is resumed, got 5"):
        checkpoint.load(tmp_path / "x.pt", dataclasses.replace(RECIPE, warmup=5))
