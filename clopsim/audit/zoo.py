"""The theorems on the losses of the zoo, and what their authors claim."""

from clopsim.audit.claim import Claim

ZOO: tuple[Claim, ...] = ()
