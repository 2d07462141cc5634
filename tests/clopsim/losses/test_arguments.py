"""Every option of every loss: an answer, or a sentence that names it."""

import inspect
import re

import numpy as np
import pytest
import torch

from clopsim import losses
from clopsim.losses import BLCL, CLOP, OrthonormalPrototypes

FIRST, SECOND = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 0, 1, 1, 0, 1, 0, 1])
VIEWS = {"first": FIRST, "second": SECOND, "labels": LABELS}
PROTOTYPES = torch.eye(4)[:2]

GIVEN = {
    "by_name": {"name": "infonce", "temperature": 0.5},
    "calibrated": {"logits": FIRST[:, :2], "embeddings": FIRST, "means": PROTOTYPES},
    "coding_rate": {"z": FIRST},
    "gathered": {"loss": losses.info_nce},
    "learned_balance": {"terms": torch.ones(2), "log_sigma": torch.zeros(2)},
    "moco": {"queries": FIRST, "keys": SECOND, "queue": FIRST[:5]},
    "noisy": {**VIEWS, "noise": torch.Generator()},
    "prototype_distance": {"embeddings": FIRST, "labels": LABELS, "prototypes": PROTOTYPES},
    "prototype_term": {**VIEWS, "prototypes": PROTOTYPES},
    "rank_weights": {"losses": FIRST[:, 0], "keep": 0.9},
}
"""Right arguments of those that are no loss of views and labels."""

WRONG = (
    *("x", None, {}, object(), 1j, True, [], [0.5, 0.2], LABELS.tolist(), FIRST.tolist(), ["a"] * 8),
    *(float("nan"), float("inf"), -1, 0, 1e300, 1e-300, 10**400, np.eye(2), np.array(["a"])),
    *(FIRST.half(), FIRST.double(), FIRST.int(), FIRST > 0, FIRST.to(torch.complex64), FIRST[:, 0], FIRST[None]),
    *(FIRST[0, 0], FIRST[:5], FIRST[:0], FIRST[:, :0], torch.empty(8, 4, device="meta"), LABELS.double(), LABELS << 40),
)  # fmt: skip

FUNCTIONS = [name for name in losses.__all__ if inspect.isfunction(getattr(losses, name)) and name != "gather_rows"]


def complaints(call, given, names):
    """Answers other than a sentence about wrong arguments."""
    for name in names:
        for value in WRONG:
            try:
                call(**{**given, name: value})
            except ValueError as error:
                message = str(error)
                if not re.search(r"\b(must|needs)\b.*; ", message):
                    pytest.fail(f"{name}: {message}")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore")  # of numbers far outside
def test_an_option_is_taken_or_refused_in_a_sentence(name):
    loss, given = getattr(losses, name), GIVEN.get(name, VIEWS)
    loss(**given)
    parameters = inspect.signature(loss).parameters.values()
    complaints(
        loss, given, [each.name for each in parameters if each.kind is not each.VAR_KEYWORD and each.name != "group"]
    )


@pytest.mark.filterwarnings("ignore")
def test_modules_take_or_refuse_in_a_sentence():
    prototypes = {"classes": 2, "dimension": 4}
    options = ["kind", "seed", "dtype", "device"]
    complaints(OrthonormalPrototypes, prototypes, [*prototypes, *options])
    complaints(lambda **each: BLCL(**each)(**VIEWS), prototypes, [*prototypes, "temperature", "floor"])
    clop = {"base": losses.info_nce, "prototypes": OrthonormalPrototypes(2, 4)}
    complaints(lambda **each: CLOP(**each)(**VIEWS), clop, [*clop, "weight", "distance"])
    complaints(CLOP(**clop), VIEWS, VIEWS)
    complaints(losses.LearnedTemperature, {}, ["temperature"])


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: losses.info_nce(**VIEWS, anchors=[0, 1]), "anchors must be a tensor, got list; torch.as_tensor makes"),
        (lambda: losses.info_nce(**VIEWS, anchors=torch.tensor([99])), "anchors must be < 16, the number of rows, got"),
        (lambda: losses.info_nce(**VIEWS, tiled="no"), "tiled must be True or False, got 'no'; choose one of them"),
        (lambda: losses.info_nce(**VIEWS, temperature=1e300), "temperature must be a number of torch.float32, got"),
        (lambda: losses.noisy(**VIEWS, noise=0.1), "noise must be a tensor, got float; "),
        (lambda: losses.l_statistic(**VIEWS, base="infonce"), "base must be a loss of two views and labels, got str; "),
        (lambda: losses.vicreg(FIRST, SECOND, target=torch.ones(3)), "target must be a number, got a tensor of"),
        (lambda: losses.moco(FIRST, SECOND, FIRST.int()), "queue must be a float tensor, got torch.int32; "),
        (lambda: OrthonormalPrototypes(2, 4, device="x"), "device must be one that is here, got 'x'; 'cpu' always is"),
        (lambda: BLCL(2, 3)(**VIEWS), "first must have dimension 3, the head's, got 4; match them"),
        (lambda: losses.learned_balance(torch.ones(2), torch.zeros(2), floor="x"), "floor must be a number or -inf,"),
    ),
)  # fmt: skip
def test_the_sentences(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


def test_what_learns_may_be_a_tensor():
    one = torch.tensor(2.0, requires_grad=True)
    given = {"invariance": one, "variance": one, "covariance": one, "target": torch.full((4,), 0.5)}
    losses.vicreg(FIRST, SECOND, **given).backward()
    losses.fedrcl(**VIEWS, beta=torch.ones(16, requires_grad=True)).backward()
    assert one.grad.isfinite()
    assert losses.coding_rate(FIRST.half()).dtype is torch.float32
