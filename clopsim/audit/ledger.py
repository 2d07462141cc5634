"""The registry of all claims."""

from clopsim.audit.any_loss import ANY_LOSS
from clopsim.audit.claim import Claim
from clopsim.audit.paper import PAPER
from clopsim.audit.rank_losses import RANK_LOSSES
from clopsim.audit.theorems import THEOREMS
from clopsim.audit.zoo import ZOO

__all__ = ["ANY_LOSS", "CLAIMS", "PAPER", "RANK_LOSSES", "THEOREMS", "ZOO"]

CLAIMS: tuple[Claim, ...] = THEOREMS + ANY_LOSS + RANK_LOSSES + ZOO + PAPER
