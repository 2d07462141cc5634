"""The losses by name, with what a user wants to know about each."""

import math
from typing import Any, Literal, get_args

from torch import Tensor

from clopsim.bounds.setting import one_of, positive_number
from clopsim.losses.adversarial import INFO as ADT
from clopsim.losses.anti_collapse import INFO as ANTI_COLLAPSE
from clopsim.losses.barlow_twins import barlow_twins
from clopsim.losses.blcl import INFO as BLCL
from clopsim.losses.clip import clip, clip_of_rows
from clopsim.losses.dcl import dcl, dcl_of_rows
from clopsim.losses.fedrcl import DENSE as FEDRCL_DENSE
from clopsim.losses.fedrcl import INFO as FEDRCL
from clopsim.losses.info import LossInfo, Named
from clopsim.losses.info_nce import info_nce, info_nce_of_rows
from clopsim.losses.l_statistic import INFO as LSTAT
from clopsim.losses.lorac import INFO as LORAC
from clopsim.losses.pauc import INFO as PAUC
from clopsim.losses.simo import INFO as SIMO
from clopsim.losses.simo import RATIO_INFO as SIMO_RATIO
from clopsim.losses.sscl import INFO as SSCL
from clopsim.losses.supcon import supcon, supcon_of_rows
from clopsim.losses.unhinged import INFO as UNHINGED
from clopsim.losses.vicreg import VARIANCE_EPSILON, vicreg
from clopsim.losses.views import PairLoss

LossName = Literal[
    "infonce",
    "supcon",
    "supcon_in",
    "dcl",
    "clip",
    "vicreg",
    "barlow",
    "pauc",
    "lorac",
    "blcl",
    "fedrcl",
    "fedrcl_dense",
    "sscl",
    "lstat",
    "adt",
    "simo",
    "simo_ratio",
    "anti_collapse",
    "unhinged",
]

LOSSES: dict[LossName, LossInfo] = {
    "infonce": LossInfo(
        info_nce,
        "-s_ij/tau + log sum_(a != i) exp(s_ia/tau), j the other view of i",
        "mean over the 2N anchors",
        "arXiv:2002.05709, authors' code, which returns twice the value",
        cosine_only=True,
        at_collapse=lambda samples, *_: math.log(2 * samples - 1),
        of_rows=info_nce_of_rows,
    ),
    "supcon": LossInfo(
        supcon,
        "-mean_(p in P(i)) s_ip/tau + log sum_(a != i) exp(s_ia/tau), P the other view and the same label",
        "mean over the 2N anchors",
        "arXiv:2004.11362, authors' code without its factor tau/0.07",
        cosine_only=True,
        at_collapse=lambda samples, *_: math.log(2 * samples - 1),
        of_rows=supcon_of_rows,
    ),
    "supcon_in": LossInfo(
        Named(supcon, form="in"),
        "-log mean_(p in P(i)) exp(s_ip/tau) + log sum_(a != i) exp(s_ia/tau), P the other view and the same label",
        "mean over the 2N anchors",
        "arXiv:2004.11362, reconstruction from the paper",
        cosine_only=True,
        at_collapse=lambda samples, *_: math.log(2 * samples - 1),
        status="paper",
        of_rows=Named(supcon_of_rows, form="in"),
    ),
    "dcl": LossInfo(
        dcl,
        "-s_ij/tau + log sum_(a != i, j) exp(s_ia/tau), j the other view of i",
        "mean over the 2N anchors",
        "arXiv:2110.06848, reconstruction from the paper and public implementations",
        cosine_only=True,
        at_collapse=lambda samples, *_: math.log(2 * samples - 2),
        status="paper",
        of_rows=dcl_of_rows,
    ),
    "clip": LossInfo(
        clip,
        "-s_ii/tau + log sum_a exp(s_ia/tau), a over the other view's embeddings alone, both directions",
        "mean over the 2N anchors",
        "arXiv:2103.00020, reconstruction from the paper's pseudocode",
        cosine_only=True,
        at_collapse=lambda samples, *_: math.log(samples),
        status="paper",
        of_rows=clip_of_rows,
    ),
    "vicreg": LossInfo(
        vicreg,
        "25 mean (x - x')^2 + 12.5 [v(x) + v(x')] + c(x) + c(x'), v = mean_j max(0, 1 - std_j), "
        "c = sum_(j != k) Cov_jk^2 / d",
        "mean over batch and coordinates",
        "arXiv:2105.04906, authors' code",
        cosine_only=False,
        at_collapse=lambda *_: 25 * (1 - math.sqrt(VARIANCE_EPSILON)),
        takes_temperature=False,
    ),
    "barlow": LossInfo(
        barlow_twins,
        "sum_j (C_jj - 1)^2 + 0.0051 sum_(j != k) C_jk^2, C the cross-correlation of the views' coordinates",
        "mean over the batch inside C, sum over coordinates",
        "arXiv:2103.03230, authors' code",
        cosine_only=False,
        at_collapse=lambda _, dimension, __: float(dimension),
        takes_temperature=False,
    ),
    "pauc": PAUC,
    "lorac": LORAC,
    "blcl": BLCL,
    "fedrcl": FEDRCL,
    "fedrcl_dense": FEDRCL_DENSE,
    "sscl": SSCL,
    "lstat": LSTAT,
    "adt": ADT,
    "simo": SIMO,
    "simo_ratio": SIMO_RATIO,
    "anti_collapse": ANTI_COLLAPSE,
    "unhinged": UNHINGED,
}
"""Read-only."""


def by_name(name: LossName, *, temperature: float | Tensor | None = None, directions: Tensor | None = None) -> PairLoss:
    """The loss of this name as a callable loss(first, second, labels=None).

    temperature: tau > 0; a scalar tensor is not checked. Without it only where LossInfo.takes_temperature is False; a
    loss that has none ignores it, so that one temperature serves a loop over all of them.
    directions: (K, d), of the classes, for a loss with LossInfo.fixed_directions, else ignored; None: its own.
    Raises ValueError for an unknown name, a temperature <= 0, and one that is missing.
    """
    one_of("name", name, get_args(LossName))
    info = LOSSES[name]
    if temperature is None and info.takes_temperature:
        raise ValueError(f"temperature must be given for {name}, got none; typical values lie between 0.05 and 1")
    if not (temperature is None or isinstance(temperature, Tensor)):
        positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    options: dict[str, Any] = {"temperature": temperature} if info.takes_temperature else {}
    if info.fixed_directions and directions is not None:
        options["directions"] = directions
    return Named(info.loss, **options)
