import pytest

from clopsim.audit.ledger import CLAIMS
from clopsim.bounds.derivation import Derivation


@pytest.fixture(scope="session")
def derived() -> dict[str, tuple[Derivation, ...]]:
    """Every derivation of the ledger by claim, made once: sympy takes most of a minute."""
    return {claim.identifier: tuple(derive() for derive in claim.derivations) for claim in CLAIMS}
