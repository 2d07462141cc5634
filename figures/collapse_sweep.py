"""Collapse against the learning rate: the default sweep, with every predicted threshold as a line.

Run `python -m figures.collapse_sweep` to write collapse_sweep.png beside this file.
"""

from pathlib import Path

from clopsim import plots, results
from clopsim import sweep as job
from clopsim.config import Sweep


def draw(path: Path, *, config: Sweep | None = None) -> float:
    """Run the sweep, draw it into path, return the largest relative gap between a searched rate and its prediction."""
    config = config or Sweep()
    dataset = job.run_sweep(config)
    thresholds = job.search_thresholds(config)
    summary = job.summarise(config, dataset, thresholds)
    figure = plots.draw_sweep(dataset.assign_attrs(results.attributes(summary, command="")))
    figure.savefig(path, dpi=120)
    return max(abs(threshold.relative_gap) for threshold in thresholds if threshold.relative_gap is not None)


if __name__ == "__main__":
    target = Path(__file__).with_suffix(".png")
    print(f"{target}: largest gap between theory and measurement {100 * draw(target):.3f} %")
