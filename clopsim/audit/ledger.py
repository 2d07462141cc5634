"""The registry of all claims."""

from clopsim.audit.claim import Claim
from clopsim.audit.paper import PAPER
from clopsim.audit.theorems import THEOREMS

__all__ = ["CLAIMS", "PAPER", "THEOREMS"]

CLAIMS: tuple[Claim, ...] = THEOREMS + PAPER
