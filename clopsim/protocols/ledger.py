"""The claims of the protocols as the audit takes them: each with a short run of its protocol as the evidence."""

from functools import partial

from clopsim.audit.claim import Claim
from clopsim.audit.experiments import Experiment
from clopsim.protocols.judgement import Judgement, Verdict
from clopsim.protocols.protocol import Protocol
from clopsim.protocols.registry import PROTOCOLS


def claim_of(protocol: Protocol) -> Claim:
    """The claim of a protocol, as the ledger records it."""
    return Claim(
        identifier=protocol.identifier,
        statement=protocol.statement,
        source=protocol.source,
        assumptions=protocol.assumptions,
        verdict=protocol.verdict,
        finding=protocol.finding,
        experiments=(partial(short_run, protocol),),
        system=protocol.system,
    )


def short_run(protocol: Protocol) -> Experiment:
    """Whether a short run of the protocol gives the verdicts that it must; those that it cannot give are not asked."""
    found = protocol.judged(protocol.dataset(protocol.short))
    asked = [(each, claim.short) for each, claim in zip(found, protocol.claims, strict=True) if claim.short]
    return Experiment(
        title=f"{protocol.system}: how far the intervals of a short run clear what decides their verdict",
        x_label="claim",
        y_label="distance, in units of what matters",
        x=tuple(float(k) for k, claim in enumerate(protocol.claims, start=1) if claim.short),
        measured=tuple(clearance(each, verdict) for each, verdict in asked),
        predicted=(0.0,) * len(asked),
        tolerance=0.0,
        absolute=True,
        relation="above",
        note=f"a short run over {protocol.short.seeds} seeds, the whole one: clopsim zoo {protocol.name}",
        verdicts=tuple(
            (each.verdict, f"{claim.said}: {each.mean:+.2g} [{each.low:+.2g}, {each.high:+.2g}] {claim.measure}")
            for each, claim in zip(found, protocol.claims, strict=True)
        ),
    )


def clearance(found: Judgement, verdict: Verdict) -> float:
    """How far an interval lies on the side of a verdict, in units of what matters; negative if it does not."""
    if verdict == "supported":
        return found.low / found.matters
    return min(found.matters - found.high, -found.low) / found.matters


CLAIMS: tuple[Claim, ...] = tuple(claim_of(protocol) for protocol in PROTOCOLS.values())
