"""Losses on embeddings, for anyone's training loop: `loss(first, second, labels=None)` -> scalar.

first, second: (N, d) raw embeddings of the two views of N samples, second[i] belonging to first[i]; labels: (N,)
integers, below 0 = unlabelled. Every loss takes its device and dtype from its inputs (half precision is computed in
float32, also under autocast) and works under torch.func.grad and vmap and under torch.compile; several processes:
`gathered`. A loss that does not use labels accepts them; one that needs them says so (LossInfo.needs_labels).

Reductions differ between implementations, and critical learning rates with them. Here the contrastive losses are means
over the 2N anchors (or sums: reduction="sum"), the others as their formulas say (SimO is a sum over pairs), and the
prototype term is a mean over the labelled rows. LOSSES[name] has formula, reduction and source: which loss follows its
authors' code, and which is a reconstruction.

>>> import clopsim
>>> clopsim.losses.LOSSES["infonce"].reduction
'mean over the 2N anchors'
"""

from clopsim.losses.adversarial import adversarial, noisy
from clopsim.losses.anti_collapse import anti_collapse, coding_rate
from clopsim.losses.balance import learned_balance
from clopsim.losses.barlow_twins import barlow_twins
from clopsim.losses.blcl import BLCL, blcl
from clopsim.losses.clip import LearnedTemperature, clip, moco
from clopsim.losses.clop import CLOP
from clopsim.losses.dcl import dcl
from clopsim.losses.fedrcl import fedrcl
from clopsim.losses.gather import gather_rows, gathered
from clopsim.losses.info import LossInfo
from clopsim.losses.info_nce import info_nce
from clopsim.losses.l_statistic import PerAnchor, l_statistic, rank_weights
from clopsim.losses.lorac import lorac
from clopsim.losses.pairs import TILED_FROM, Form, Reduction
from clopsim.losses.pauc import pauc
from clopsim.losses.prototype_term import Distance, prototype_distance, prototype_term
from clopsim.losses.prototypes import Kind, OrthonormalPrototypes
from clopsim.losses.registry import LOSSES, LossName, by_name
from clopsim.losses.simo import simo
from clopsim.losses.sscl import Guess, calibrated, sscl
from clopsim.losses.supcon import supcon
from clopsim.losses.unhinged import unhinged
from clopsim.losses.vicreg import vicreg
from clopsim.losses.views import PairLoss, Views

__all__ = [
    "BLCL",
    "CLOP",
    "LOSSES",
    "TILED_FROM",
    "Distance",
    "Form",
    "Guess",
    "Kind",
    "LearnedTemperature",
    "LossInfo",
    "LossName",
    "OrthonormalPrototypes",
    "PairLoss",
    "PerAnchor",
    "Reduction",
    "Views",
    "adversarial",
    "anti_collapse",
    "barlow_twins",
    "blcl",
    "by_name",
    "calibrated",
    "clip",
    "coding_rate",
    "dcl",
    "fedrcl",
    "gather_rows",
    "gathered",
    "info_nce",
    "l_statistic",
    "learned_balance",
    "lorac",
    "moco",
    "noisy",
    "pauc",
    "prototype_distance",
    "prototype_term",
    "rank_weights",
    "simo",
    "sscl",
    "supcon",
    "unhinged",
    "vicreg",
]
