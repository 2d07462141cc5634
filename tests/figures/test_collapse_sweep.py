from clopsim.config import Sweep
from figures.collapse_sweep import draw


def test_a_small_run_draws_the_figure_and_meets_the_theory(tmp_path):
    config = Sweep(samples=16, rates=(0.5, 1.5), seeds=2, steps=50)
    assert draw(tmp_path / "figure.png", config=config) < 0.01
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    draw(tmp_path / "again.png", config=config)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "figure.png").read_bytes()
