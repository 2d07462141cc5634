"""The protocols by name."""

from clopsim.protocols.adversarial import ADVERSARIAL
from clopsim.protocols.federated import FEDERATED
from clopsim.protocols.few_labels import FEW_LABELS
from clopsim.protocols.incremental import INCREMENTAL
from clopsim.protocols.protocol import Protocol
from clopsim.protocols.trimming import TRIMMING

PROTOCOLS: dict[str, Protocol] = {
    each.name: each for each in (FEDERATED, INCREMENTAL, FEW_LABELS, TRIMMING, ADVERSARIAL)
}
