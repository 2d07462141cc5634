"""What a card takes: losses of ours, of anybody's, and everything that is none."""

import math
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import clopsim
from clopsim.cards import source
from clopsim.cards.subject import LARGEST, random_rows, subject_of
from clopsim.losses import info_nce, moco
from clopsim.losses.views import unit_rows


def subject(function, **changes):
    setting = {"temperature": None, "dimension": 4, "samples": 6, "classes": None}
    return subject_of(function, **{**setting, **changes})


def squares(cosines):
    """All rows at right angles."""
    return cosines.triu(1).square().sum()


def pairs(first, second, labels):
    z = unit_rows(torch.cat([first, second]))
    alike = torch.cat([labels, labels])
    return ((z @ z.T) - (alike[:, None] == alike[None]).double()).square().mean()


def test_a_function_of_the_cosines_has_an_ambient_gradient_without_normalisation():
    found = subject(squares)
    assert (found.rows, found.classes, found.views, found.form) == (6, 3, False, "cosine")
    assert (found.name, found.formula) == ("squares", "All rows at right angles.")
    z = random_rows(found)
    assert float(found.value(2 * z)) == pytest.approx(16 * float(found.value(z)))
    assert not found.sees_lengths
    assert subject(lambda cosines: cosines.square().sum()).sees_lengths


def test_a_function_of_views_gets_both_with_balanced_labels():
    seen = []

    def loss(first, second, labels):
        seen.append((first.shape, second.shape, labels.tolist(), first.dtype))
        return pairs(first, second, labels)

    found = subject(loss)
    assert (found.rows, found.classes, found.form) == (12, 3, "normalised")
    assert seen[0] == ((6, 4), (6, 4), [0, 1, 2, 0, 1, 2], torch.float64)
    assert not found.has_ambient
    assert "no radial part" in clopsim.card(pairs, samples=4, dim=3).report()


def test_a_function_of_views_that_does_not_normalise_keeps_its_own_ambient_gradient():
    def loss(first, second):
        return (first @ second.T).square().mean() - (first * second).sum()

    found = subject(loss)
    assert (found.form, found.has_ambient) == ("rows", True)


def test_two_views_without_labels_and_defaults_are_told_apart():
    assert subject(lambda first, second: (first * second).sum()).views
    assert subject(lambda first, second, labels=None: (first * second).sum()).views
    assert subject(lambda first, second=None, labels=None: (first * second).sum()).views
    assert not subject(lambda cosines, tau=0.5: (cosines / tau).sum()).views


def test_modules_and_classes_of_them_are_taken_in_float64():
    class Weighted(nn.Module):
        """With a parameter of its own, in float32."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, cosines):
            return (self.scale * cosines).exp().sum()

    for given in (Weighted(), Weighted):
        found = subject(given)
        assert found.value(random_rows(found)).dtype == torch.float64
    given = clopsim.CLOP(info_nce, clopsim.OrthonormalPrototypes(3, 4, seed=0))
    found = subject(given)
    assert (found.views, found.form) == (True, "normalised")


def test_a_loss_of_ours_has_its_formula_without_normalisation():
    found = subject("infonce", temperature=0.2)
    assert (found.rows, found.temperature, found.form) == (12, 0.2, "cosine")
    z = random_rows(found)
    expected = info_nce(z[:6], z[6:], temperature=0.2)
    assert float(found.value(z)) == pytest.approx(float(expected), rel=1e-13)
    assert float(found.value(2 * z)) != pytest.approx(float(expected), rel=1e-3)
    assert float(subject(partial(info_nce, temperature=0.2)).value(z)) == float(found.value(z))


def test_noise_of_its_own_is_frozen_and_told():
    def noisy(cosines):
        return (cosines * (1 + 0.1 * torch.randn_like(cosines))).exp().sum()

    before = torch.random.get_rng_state()
    found = subject(noisy)
    z = random_rows(found)
    assert found.noise
    assert float(found.value(z)) == float(found.value(z))
    assert "noise is drawn from one seed" in clopsim.card(noisy, samples=4, dim=3, classes=0).report()
    del before


def test_classes_are_the_first_usual_number_that_fits():
    for samples, expected in ((8, 4), (6, 3), (10, 2), (5, 0)):
        assert subject("infonce", samples=samples).classes == expected
        assert subject("infonce", samples=samples, classes=0).classes == 0
    assert subject("infonce", dimension=2, samples=12).classes == 2  # four would have no room
    assert subject(squares, samples=8).labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]  # alike in both views
    assert subject(squares, samples=6).labels.tolist() == [0, 1, 2, 0, 1, 2]


def counting():
    calls = iter(range(1000))
    return lambda cosines: cosines.sum() * next(calls)


def raises(cosines):
    raise LookupError("no such thing")


WRONG = (
    (lambda s: 1.0, "must return a float tensor, got float"),
    (lambda s: np.float64(1), "must return a float tensor, got float64"),
    (lambda s: (s > 0).sum(), "must return a float tensor, got torch.int64"),
    (lambda s: s, r"must return a scalar, got a tensor of shape \(6, 6\); take its mean"),
    (lambda s: s.detach().sum(), "must be differentiable, got a value without a graph"),
    (lambda s: torch.tensor(1.0), "must be differentiable"),
    (lambda s: s.sum() * math.nan, "must be finite on random embeddings, got nan"),
    (lambda s: (s - s).sqrt().sum(), "must have a finite gradient on random embeddings"),
    (lambda s: (s * 0).sum(), "must depend on the embeddings"),
    (lambda s: s.numpy().sum(), "must return a float tensor, got float64"),
    (lambda s: s @ torch.ones(3, dtype=s.dtype), r"must be able to work on 6 x 6 cosines in float64, got RuntimeError"),
    (lambda first, second, labels: first @ second, r"work on two views of shape \(6, 4\) in float64, got RuntimeError"),
    (raises, "got LookupError in line .*no such thing; try it on random tensors first"),
    (counting(), "must give one value for one input, got two; it keeps a state"),
    (lambda: 1, "must take the cosine matrix"),
    (lambda a, b, c, d: a, "with 4 arguments"),
    (moco, "moco, which needs a queue; wrap it: lambda first, second, labels=None: moco.first, second, queue.$"),
    (lambda s, *, tau: s.sum(), "without tau; set them with functools.partial"),
    (3, "must be callable, got int"),
    (nn.Linear, "must be able to be made without arguments, got TypeError"),
    (max, "must have a signature to read, got max"),
)  # fmt: skip


@pytest.mark.parametrize("function, message", WRONG)
def test_what_is_no_loss_is_one_plain_sentence(function, message):
    with pytest.raises(ValueError, match=message) as error:
        subject(function)
    assert str(error.value).startswith("function ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "function, changes, message",
    (
        ("infnce", {}, "must be merged, infonce, .* or FILE.py:NAME, got 'infnce'"),
        ("infonce", {"samples": 1}, "samples must be a whole number >= 2"),
        ("infonce", {"dimension": 1}, "dimension must be a whole number >= 2"),
        ("infonce", {"samples": LARGEST}, f"samples must keep rows x dimension <= {LARGEST}, got 4096 x 4"),
        ("infonce", {"temperature": 0}, "temperature must be a finite number > 0"),
        ("vicreg", {"temperature": 0.5}, "temperature must be left out for vicreg"),
        (squares, {"temperature": 0.5}, "temperature must be left out for a loss of yours"),
        ("infonce", {"classes": 1}, "classes must be 0 or at least 2"),
        ("infonce", {"classes": 4}, "classes must divide the number of samples, got 4 for 6"),
        ("infonce", {"classes": -1}, "classes must be a whole number >= 0"),
        ("fedrcl", {"classes": 0}, "classes must be at least 2 for fedrcl"),
        ("merged", {"temperature": 1e-9}, "temperature must be >= 0.0001"),
    ),
)
def test_wrong_settings_are_one_plain_sentence(function, changes, message):
    with pytest.raises(ValueError, match=message):
        subject(function, **changes)


def test_a_loss_is_loaded_from_a_file_with_its_neighbours(tmp_path):
    (tmp_path / "beside.py").write_text("FACTOR = 3\n")
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom beside import FACTOR\n\n\n@dataclass\nclass Options:\n"
        "    factor: int = FACTOR\n\n\ndef loss(cosines):\n    return Options().factor * cosines.sum()\n"
    )
    before = list(sys.path)
    loss = source.loaded(f"{file}:loss")
    assert float(loss(torch.ones(2, 2))) == 12
    assert sys.path == before
    assert source.loaded("infonce") == "infonce"


@pytest.mark.parametrize(
    "text, content, message",
    (
        ("no.py:loss", None, "must be in a file that is there, got 'no.py'; check the path"),
        ("mine.py", "x = 1\n", "must name a loss in the file, got 'mine.py'; write mine.py:NAME"),
        ("mine.txt:loss", "", "the file must end in .py"),
        ("mine.py:loss", "import math\n\n\ndef lose(s):\n    return s\n", "got 'loss'; it has lose"),
        ("mine.py:loss", "", "got 'loss'; it has no function"),
        ("mine.py:loss", "loss = 3\n", "must be callable, got 'loss' of 'mine.py', a int"),
        ("mine.py:loss", "import torch\nraise KeyError('gone')\n", "got KeyError in line 2 of 'mine.py': 'gone'"),
        ("mine.py:loss", "def loss(:\n", "got SyntaxError in line 1 of 'mine.py'"),
        ("mine.py:loss", "import sys\nsys.exit('bye')\n", "got SystemExit in line 2 of 'mine.py': bye"),
        ("mine.py:loss", "import nothing_such\n", "got ModuleNotFoundError in line 1"),
    ),
)
def test_a_file_without_such_a_loss_is_one_plain_sentence(tmp_path, monkeypatch, text, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / text.partition(":")[0]).write_text(content)
    with pytest.raises(ValueError, match=message):
        source.loaded(text)
