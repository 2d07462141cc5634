"""The registry of all claims."""

from clopsim.audit.claim import Claim
from clopsim.audit.paper import PAPER
from clopsim.audit.theorems import THEOREMS
from clopsim.audit.zoo import ZOO

__all__ = ["CLAIMS", "PAPER", "THEOREMS", "ZOO"]

CLAIMS: tuple[Claim, ...] = THEOREMS + ZOO + PAPER
