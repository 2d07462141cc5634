"""What the gallery shows: short captions, pictures that fill a page, nothing cut off, tables that are the CSV files."""

import csv
from collections import defaultdict
from statistics import median

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from clopsim import figures
from tests.figures.test_figures import FOLDER, measured

GALLERY = (FOLDER / "README.md").read_text(encoding="utf-8")
LOSSES = {"infonce": "InfoNCE", "dcl": "DCL", "vicreg": "VICReg", "barlow": "Barlow Twins"}
WEIGHTS = {"0": "without", "1": "with"}
SHOWN = ("0.001", "0.01", "0.1", "1", "10", "100")
"""Learning rates of the tables of training."""


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_caption_is_a_sentence_and_three_lines(name):
    title, blank, *lines = figures.caption(name).splitlines()
    assert (title[-1], blank) == (".", "")
    assert 0 < len(lines) <= 3
    assert f"## {title[:-1]}\n" in GALLERY


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_picture_is_wide_enough_for_a_talk(name):
    with Image.open(FOLDER / f"{name}.png") as picture:
        assert picture.width >= 1200


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_figure_has_its_finding_over_it_and_cuts_no_words_off(name):
    figure = figures.draw(name, measured(name)).figure
    assert figure.get_suptitle() == figures.caption(name).splitlines()[0][:-1]
    figure.draw_without_rendering()
    for text in words(figure):
        box = text.get_window_extent()
        assert box.x0 + 1 >= 0, text
        assert box.x1 - 1 <= figure.bbox.width, text
        assert box.y0 + 1 >= 0, text
        assert box.y1 - 1 <= figure.bbox.height, text
        assert text.get_fontsize() >= 8, text  # at 680 pixels: 10 of them


def words(figure: Figure) -> list[Text]:
    """Everything written but the ticks, of which some lie outside and are not drawn."""
    ticks = {
        label
        for axes in figure.findobj(lambda each: hasattr(each, "get_xticklabels"))
        for minor in (False, True)
        for label in (*axes.get_xticklabels(minor=minor), *axes.get_yticklabels(minor=minor))
    }
    return [each for each in figure.findobj(Text) if each not in ticks and each.get_text() and each.get_visible()]


def rows(name):
    with (FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        yield from csv.DictReader(file)


def table_of_training(name):
    """Accuracy / rank, medians over the seeds; a dash where one diverged."""
    cells = defaultdict(list)
    for row in rows(name):
        key = (row["loss"], row["weight_decay"], row["weight"], row["learning_rate"])
        cells[key].append((float(row["linear_probe"]), float(row["effective_rank"])))
    yield f"| loss, weight decay, prototypes; rate | {' | '.join(SHOWN)} |"
    yield "|---" * (1 + len(SHOWN)) + "|"
    for loss, words in LOSSES.items():
        for decay in ("0.0001", "0.01"):
            for weight, prototypes in WEIGHTS.items():
                found = [shown(cells[loss, decay, weight, rate]) for rate in SHOWN]
                yield f"| {words}, {decay}, {prototypes} | {' | '.join(found)} |"


def shown(seeds):
    accuracy, rank = (median(values) if np.isfinite(values).all() else np.nan for values in zip(*seeds, strict=True))
    return "–" if np.isnan(accuracy) else f"{accuracy:.2f} / {rank:.1f}"


def table_of_lines(name):
    """Effective rank of every seed; a dash for one that diverged."""
    cells = defaultdict(list)
    for row in rows(name):
        rank = row["effective_rank"]
        cells[row["loss"], row["weight"], row["learning_rate"]].append("–" if rank == "nan" else f"{float(rank):.1f}")
    rates = ("0.001", "0.1", "10")
    yield f"| loss, prototypes; rate | {' | '.join(rates)} |"
    yield "|---" * (1 + len(rates)) + "|"
    for loss, words in LOSSES.items():
        for weight, prototypes in WEIGHTS.items():
            found = [", ".join(cells[loss, weight, rate]) for rate in rates]
            yield f"| {words}, {prototypes} | {' | '.join(found)} |"


TABLES = {"training": table_of_training, "training_lines": table_of_training, "paper_synthetic": table_of_lines}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_the_gallery_is_the_csv(name):
    table = "\n".join(TABLES[name](name))
    _, _, section = GALLERY.partition(f"]({name}.png)")
    assert table in section.partition("\n## ")[0]
