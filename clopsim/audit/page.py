"""The audit as one page: the papers' claims first, the graph of the proofs, every claim with evidence that unfolds."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources

from clopsim.audit import graph
from clopsim.audit.breaking import STYLE, display
from clopsim.audit.experiments import Experiment
from clopsim.audit.picture import described, svg
from clopsim.audit.run import Finding, Proof
from clopsim.audit.typeset import prose
from clopsim.audit.words import Made, checked, headline, said, sentence, short, tables, totals

FEW = 3
"""Claims up to which their evidence is unfolded from the start."""


def to_html(findings: Sequence[Finding], made: Made) -> str:
    """The report as one self-contained page: MathML formulas, pictures inline, no script, no request."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    edges = graph.uses(findings)
    users = graph.used_by(edges)
    drawn = graph.draw(findings)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>The audit of clopsim</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{style}{STYLE}</style></head><body>",
        "<header><h1>The audit of clopsim</h1>",
        f"<p class='lead'>{prose(headline(findings))}</p>",
        _totals(findings),
        f"<p class='quiet'>{totals(findings)} Made by {html.escape(made.version)} with"
        f" <code>{html.escape(made.command)}</code>.</p>",
        *(
            f"<p class='fails'>{_link(one.claim.identifier)}: {prose(text)}</p>"
            for one in findings
            for text in one.failures
        ),
        "</header>",
        _contents(findings, with_graph=bool(drawn)),
        "<main>",
    ]
    for name, title, head, part in tables(findings):
        parts.append(f"<h2 id='{name}'>{title}</h2>")
        heads = "".join(f"<th scope='col'>{one}</th>" for one in ("claim", head, "verdict", "what holds"))
        parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>")
        parts += [_row(finding) for finding in part]
        parts.append("</tbody></table>")
    if drawn:
        parts += [
            "<h2 id='graph'>Which proof uses which theorem</h2>",
            "<p class='quiet'>A line leads from a theorem to the earlier ones, left of it, that its proof names; what"
            " stands alone is left out. The colour is that of the verdict.</p>",
            f"<figure>{drawn}</figure>",
        ]
    parts.append("<h2 id='evidence'>The claims and their evidence</h2>")
    parts += [_section(one, edges, users, unfold=len(findings) <= FEW) for one in findings]
    return "\n".join([*parts, "</main></body></html>"]) + "\n"


def _link(name: str) -> str:
    return f"<a href='#{name}'>{name}</a>"


def _verdict(word: str) -> str:
    return f"<span class='verdict {word.replace(' ', '-')}'>{word}</span>"


def _totals(findings: Sequence[Finding]) -> str:
    counts = Counter(one.verdict for one in findings).most_common()
    return "<ul class='totals'>" + "".join(f"<li>{_verdict(word)} {count}</li>" for word, count in counts) + "</ul>"


def _contents(findings: Sequence[Finding], *, with_graph: bool) -> str:
    """Links to the parts and, folded, to every claim."""
    parts = "".join(f"<li><a href='#{name}'>{title}</a></li>" for name, title, _, _ in tables(findings))
    if with_graph:
        parts += "<li><a href='#graph'>Which proof uses which theorem</a></li>"
    claims = "".join(f"<li>{_link(one.claim.identifier)}</li>" for one in findings)
    return (
        f"<nav id='contents' aria-label='Contents'><ul>{parts}<li><a href='#evidence'>The evidence</a></li></ul>"
        f"<details><summary>Every claim</summary><ul>{claims}</ul></details></nav>"
    )


def _row(finding: Finding) -> str:
    claim = finding.claim
    source = f"<br><small>{prose(claim.source)}</small>" if said(claim) else ""
    system = f"{claim.system}: " if claim.system else ""
    return (
        f"<tr><th scope='row'>{_link(claim.identifier)}</th><td>{system}{prose(claim.statement)}{source}</td>"
        f"<td>{_verdict(finding.verdict)}</td><td>{prose(short(claim))}</td></tr>"
    )


def _section(
    finding: Finding, edges: Mapping[str, Sequence[str]], users: Mapping[str, Sequence[str]], *, unfold: bool
) -> str:
    claim = finding.claim
    name = claim.identifier
    unfolded = " open" if unfold else ""
    notes = [f"Source: {prose(claim.source)}.", f"Assumes: {prose(claim.assumptions)}."]
    if finding.evidence:
        notes.append(f"Evidence: {finding.evidence}.")
    notes += [
        f"{word} {', '.join(map(_link, names))}."
        for word, names in (("Uses", edges[name]), ("Used by", users[name]))
        if names
    ]
    parts = [
        f"<section id='{name}'><h3>{_link(name)} {prose(claim.statement)} {_verdict(finding.verdict)}</h3>",
        f"<p>{prose(claim.finding)}</p><p class='quiet'>{' '.join(notes)}</p>",
        *(f"<p class='fails'>Fails: {prose(failure)}</p>" for failure in finding.failures),
        *(f"<details{unfolded}>{_proof(proof)}</details>" for proof in finding.proofs),
    ]
    if finding.certificates:
        rows = "".join(
            f"<li>{prose(text)}: {'yes' if certain else 'NO'}</li>" for text, certain in finding.certificates.items()
        )
        parts.append(
            f"<details{unfolded}><summary>Certified by enclosures ({len(finding.certificates)})</summary>"
            f"<ul>{rows}</ul></details>"
        )
    if finding.experiments:
        parts.append(
            f"<details{unfolded}><summary>Experiments ({len(finding.experiments)})</summary>"
            f"{''.join(map(_experiment, finding.experiments))}</details>"
        )
    return "\n".join([*parts, "<p class='back'><a href='#contents'>↑ contents</a></p></section>"])


def _proof(proof: Proof) -> str:
    derivation = proof.derivation
    steps = len(derivation.steps)
    items = []
    for step in derivation.steps:
        formula = "" if step.formula is None else display(step.formula, step.left)
        items.append(f"<li>{prose(step.text)}{formula}</li>")
    names = "; ".join(name for name in derivation.zeros if name not in proof.rest)
    which = (
        f"<details><summary class='quiet'>The identities by name</summary><p class='quiet'>{prose(names)}</p></details>"
    )
    return (
        f"<summary>Proof of {derivation.theorem}, {steps} step{'s' if steps > 1 else ''}</summary>"
        f"<p>{prose(derivation.statement)}</p><ol>{''.join(items)}</ol>"
        f"<p class='quiet'>{checked(proof)}</p>{which if names else ''}"
    )


def _experiment(experiment: Experiment) -> str:
    verdicts = "".join(f"<li>{_verdict(word)} {prose(text)}</li>" for word, text in experiment.verdicts)
    listed = f"<ul>{verdicts}</ul>" if verdicts else ""
    alternative = html.escape(described(experiment), quote=True)
    return (
        f"<h4>{prose(experiment.title[0].upper() + experiment.title[1:])}</h4>"
        f"<figure>{svg(experiment, alternative)}<figcaption>{prose(sentence(experiment))}</figcaption></figure>{listed}"
    )
