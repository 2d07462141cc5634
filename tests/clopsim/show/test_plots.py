import numpy as np
import pytest
import torch

from clopsim.bounds import antipodal_line_rate
from clopsim.runs import results
from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.show import plots
from clopsim.training import loop
from clopsim.training.datasets import load
from clopsim.training.observation import dataset_of
from clopsim.training.recipe import Training
from clopsim.training.trainee import trainee


@pytest.mark.parametrize("loss, panels, lines", [("merged", 2, 3), ("full", 3, 4)])
def test_points_and_every_predicted_line_are_drawn(loss, panels, lines):
    config = Sweep(samples=32, clusters=2, rates=(0.5, 2.0), seeds=2, steps=10, loss=loss)
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
    rough = [label for label in labels if label.endswith("rough: $n$ too small to tell")]
    assert rough == [label for label in labels if "T13" in label]
    assert len(rough) == 1
    name = "collapse_rate" if loss == "merged" else "alignment_collapse_rate"
    (exact,) = (x for label, x in vertical.items() if "mu_c" in label)
    assert exact == pytest.approx(summary["sweep"][0]["predicted"][name] / summary["sweep"][0]["mu_c"])
    points = figure.axes[0].containers[0].lines[0]
    np.testing.assert_allclose(points.get_ydata(), dataset["mean_resultant_length"].isel(step=-1).median("seed")[0])
    if loss == "full":
        (line,) = (x for label, x in vertical.items() if "T12" in label)
        assert line == pytest.approx(antipodal_line_rate(config.settings[0]) / summary["sweep"][0]["mu_c"])


def test_a_run_from_before_a_prediction_is_drawn_without_its_line():
    config = Sweep(samples=8, clusters=2, rates=(0.5, 2.0), seeds=1, steps=10, loss="full")
    dataset = job.run_sweep(config)
    attributes = results.attributes(job.summarise(config, dataset, job.search_thresholds(config)), command="")
    del attributes["predicted_antipodal_line_rate"]
    (legend,) = plots.draw_sweep(dataset.assign_attrs(attributes)).legends
    assert not any("T12" in text.get_text() for text in legend.get_texts())


@pytest.mark.parametrize("sharpness", (True, False))
def test_a_training_run_is_drawn_as_it_was_recorded(sharpness):
    recipe = Training(
        data="clusters", samples=40, features=4, dimension=3, width=4, batch=16, steps=20, sharpness=sharpness,
        embedder="linear", momentum=0.5, weight_decay=0.0, schedule="constant",
    )  # fmt: skip
    data = load(recipe)
    model = trainee(recipe, data, device=torch.device("cpu"), dtype=torch.float32)
    dataset = dataset_of(recipe, loop.train(recipe, data, model), 32).assign_attrs(loss_at_collapse=3.0)
    loss, rank, length, rates = plots.draw_training(dataset).axes
    for axes, name in ((loss, "loss"), (rank, "effective_rank"), (length, "mean_resultant_length")):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), dataset[name].values.ravel())
    assert list(loss.lines[1].get_ydata()) == [3.0, 3.0]
    now, edge = rates.lines
    assert set(now.get_ydata()) == {0.1}
    measured = dataset["sharpness"].values.ravel()
    assert list(edge.get_ydata()) == pytest.approx(list(2 * 1.5 / measured[np.isfinite(measured)]))
    assert len(edge.get_ydata()) == (3 if sharpness else 0)
    assert [text.get_text() for text in rates.get_legend().get_texts()][1] == r"$2(1+\beta)/h$, $h$ the sharpness"
