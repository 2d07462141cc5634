import numpy as np
import pytest

from clopsim import plots, results
from clopsim import sweep as job
from clopsim.config import Sweep


@pytest.mark.parametrize("loss, panels, lines", [("merged", 2, 3), ("full", 3, 3)])
def test_points_and_every_predicted_line_are_drawn(loss, panels, lines):
    config = Sweep(samples=8, clusters=2, rates=(0.5, 2.0), seeds=2, steps=10, loss=loss)
    dataset = job.run_sweep(config)
    summary = job.summarise(config, dataset, job.search_thresholds(config))
    figure = plots.draw_sweep(dataset.assign_attrs(results.attributes(summary, command="")))
    assert len(figure.axes) == panels
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert len(labels) == lines + 1
    vertical = {
        line.get_label(): line.get_xdata()[0] for line in figure.axes[0].lines if str(line.get_label()) in labels
    }
    name = "collapse_rate" if loss == "merged" else "alignment_collapse_rate"
    (exact,) = (x for label, x in vertical.items() if "mu_c" in label)
    assert exact == pytest.approx(summary["sweep"][0]["predicted"][name] / summary["sweep"][0]["mu_c"])
    points = figure.axes[0].containers[0].lines[0]
    np.testing.assert_allclose(points.get_ydata(), dataset["mean_resultant_length"].isel(step=-1).median("seed")[0])
