"""What a report says in words, in either form: headings, totals, sentences about proofs and experiments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clopsim.audit.claim import OURS, Claim
from clopsim.audit.experiments import Experiment
from clopsim.audit.run import OPEN, Finding, Proof


@dataclass(frozen=True)
class Made:
    """Which version made a report, and with which command."""

    version: str
    command: str


def tables(findings: Sequence[Finding]) -> Iterator[tuple[str, str, str, list[Finding]]]:
    """Name, title, head of the statements and findings of each table of the first page: the papers first."""
    claims = [finding for finding in findings if finding.claim.identifier.startswith("P")]
    claims.sort(key=lambda finding: int(finding.claim.identifier[1:]))
    zoo = [finding for finding in claims if finding.claim.system]
    papers = [finding for finding in claims if not finding.claim.system]
    theorems = [finding for finding in findings if finding not in claims]
    if papers:
        yield "papers", "What the papers claim, and what holds", "what they say", papers
    if zoo:
        yield "zoo", "What the authors of other losses claim", "what they say", zoo
    if theorems:
        yield "theorems", "The theorems", "statement", theorems


def headline(findings: Sequence[Finding]) -> str:
    """Whether the evidence supports the recorded verdicts, in a sentence or two."""
    fallen = [one.claim.identifier for one in findings if one.verdict == OPEN]
    what = (
        "What papers on contrastive learning claim about collapse, learning rates and prototypes, held against proofs,"
    )
    if fallen:
        return f"{what} enclosures and simulations. The evidence no longer supports {', '.join(fallen)}."
    everything = "the recorded verdict" if len(findings) == 1 else f"all {len(findings)} recorded verdicts"
    return f"{what} enclosures and simulations. The evidence supports {everything}."


def totals(findings: Sequence[Finding]) -> str:
    """How much was examined, and how long it took."""
    proofs = [proof.derivation for one in findings for proof in one.proofs]
    counts = {
        "identities": sum(len(one.zeros) for one in proofs),
        "agreements of the code": sum(len(one.agreements) for one in proofs),
        "enclosures": sum(len(one.certificates) for one in findings),
        "experiments": sum(len(one.experiments) for one in findings),
    }
    examined = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"Examined in {sum(one.seconds for one in findings):.0f} s: {examined}."


def short(claim: Claim) -> str:
    """What a table says of a claim: of somebody's, what holds of it; of a theorem, which holds, all that was found."""
    return claim.holds if said(claim) and claim.identifier.startswith("P") else claim.finding


def said(claim: Claim) -> bool:
    """Whether somebody else said it, so that a table names the source."""
    return not claim.source.startswith(OURS)


def checked(proof: Proof) -> str:
    """How many identities came to zero, and how often the code agrees; what did not is among the failures."""
    zeros, agreements = len(proof.derivation.zeros), len(proof.derivation.agreements)
    parts = []
    if zeros:
        parts.append(
            f"{_of(zeros - len(proof.rest), zeros, 'identity', 'identities')} behind these steps simplify to zero"
        )
    if agreements:
        parts.append(
            f"the code gives what is derived at {_of(agreements - len(proof.apart), agreements, 'point', 'points')}"
        )
    text = ", and ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _of(held: int, whole: int, one: str, more: str) -> str:
    if held < whole:
        return f"{held} of {whole} {more}"
    return f"the one {one}" if whole == 1 else f"all {whole} {more}"


def sentence(experiment: Experiment) -> str:
    """How far the measured values lie from the predicted ones."""
    kind = "absolute" if experiment.absolute else "relative"
    note = f" {experiment.note[0].upper()}{experiment.note[1:]}." if experiment.note else ""
    outcome = "holds" if experiment.holds else "FAILS"
    return f"Largest {kind} gap {experiment.gap:.2g}, allowed {experiment.tolerance:g}: {outcome}.{note}"
