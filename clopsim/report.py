"""The audit as a document: every claim with its derivation step by step, its experiments and their figures."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from clopsim import plots
from clopsim.audit import Finding
from clopsim.experiments import Experiment

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc; vertical-align: top; }
.formula { overflow-x: auto; margin: .3rem 0 .8rem 1.5rem; }
.open { color: #b00020; font-weight: bold; }
.quiet { color: #666; }
figure { margin: 1rem 0; }
img { max-width: 100%; }
@media (prefers-color-scheme: dark) {
  body { background: #161616; color: #ddd; }
  td, th { border-color: #444; }
  .quiet { color: #aaa; }
  a { color: #8ab4f8; }
}
"""


def check_report(path: Path) -> None:
    """ValueError unless a report can be written to path: the ending is known, the folder is there."""
    if path.suffix not in (".md", ".html"):
        raise ValueError(f"report must end in .md or .html, got {str(path)!r}; rename it")
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(f"report must be a file in a folder that exists, got {str(path)!r}; make the folder first")


def write_report(findings: Sequence[Finding], path: Path) -> None:
    """Write the findings to path, whose ending decides the form: .html (self-contained, MathML) or .md (LaTeX).

    Markdown figures go into a folder beside it, named after it. Errors: ValueError as in check_report.
    """
    check_report(path)
    text = (
        to_html(findings) if path.suffix == ".html" else to_markdown(findings, path.with_name(path.stem + "-figures"))
    )
    staging = path.with_name(f".{path.name}.partial")
    try:
        staging.write_text(text, encoding="utf-8")
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def to_markdown(findings: Sequence[Finding], figures: Path) -> str:
    """The report in Markdown, formulas between dollar signs; its figures are written into the folder `figures`."""
    import sympy as sp

    lines = ["# The audit", "", "| claim | verdict | evidence | finding |", "|---|---|---|---|"]
    lines += [f"| {f.claim.identifier} | {f.verdict} | {f.evidence} | {f.claim.finding} |" for f in findings]
    for finding in findings:
        claim = finding.claim
        lines += ["", f"## {claim.identifier}: {claim.statement}", ""]
        lines += [
            f"*Source:* {claim.source}. *Assumes:* {claim.assumptions}. *Verdict:* **{finding.verdict}**.",
            "",
            claim.finding,
        ]
        lines += [f"\n**Fails:** {failure}" for failure in finding.failures]
        for proof in finding.proofs:
            lines += ["", f"### Derivation of {proof.derivation.theorem}", "", proof.derivation.statement, ""]
            for number, step in enumerate(proof.derivation.steps, start=1):
                lines += [f"{number}. {step.text}", ""]
                if step.formula is not None:
                    lines += ["   $$" + sp.latex(step.formula) + "$$", ""]
            lines += [f"Simplifies to zero: {', '.join(proof.derivation.zeros)}." if proof.derivation.zeros else ""]
        if finding.certificates:
            lines += ["", "### Certified by enclosures", ""]
            lines += [
                f"- {statement}: {'yes' if certain else '**no**'}"
                for statement, certain in finding.certificates.items()
            ]
        for number, experiment in enumerate(finding.experiments, start=1):
            figures.mkdir(parents=True, exist_ok=True)
            picture = figures / f"{claim.identifier}-{number}.png"
            picture.write_bytes(_png(experiment))
            lines += [
                "",
                f"### Experiment: {experiment.title}",
                "",
                f"![{experiment.title}]({figures.name}/{picture.name})",
            ]
            lines += ["", _sentence(experiment)]
    return "\n".join(lines) + "\n"


def to_html(findings: Sequence[Finding]) -> str:
    """The report as one self-contained page: MathML formulas, pictures inline, no script, no request."""
    from sympy.printing.mathml import mathml

    e = html.escape
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>clopsim: the audit</title>",
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head><body><h1>The audit</h1>",
        "<table><tr><th>claim</th><th>verdict</th><th>evidence</th><th>finding</th></tr>",
    ]
    for f in findings:
        mark = f.claim.identifier
        parts.append(
            f"<tr><td><a href='#{mark}'>{mark}</a></td><td>{_verdict(f)}</td><td>{e(f.evidence)}</td>"
            f"<td>{e(f.claim.finding)}</td></tr>"
        )
    parts.append("</table>")
    for f in findings:
        claim = f.claim
        parts.append(f"<h2 id='{claim.identifier}'>{claim.identifier}: {e(claim.statement)}</h2>")
        parts.append(f"<p class='quiet'>Source: {e(claim.source)}. Assumes: {e(claim.assumptions)}.</p>")
        parts.append(f"<p>Verdict: {_verdict(f)}. {e(claim.finding)}</p>")
        parts += [f"<p class='open'>Fails: {e(failure)}</p>" for failure in f.failures]
        for proof in f.proofs:
            parts.append(
                f"<h3>Derivation of {e(proof.derivation.theorem)}</h3><p>{e(proof.derivation.statement)}</p><ol>"
            )
            for step in proof.derivation.steps:
                formula = ""
                if step.formula is not None:
                    body = mathml(step.formula, printer="presentation")
                    formula = f"<div class='formula'><math display='block'>{body}</math></div>"
                parts.append(f"<li>{e(step.text)}{formula}</li>")
            parts.append("</ol>")
            if proof.derivation.zeros:
                parts.append(f"<p class='quiet'>Simplifies to zero: {e(', '.join(proof.derivation.zeros))}.</p>")
        if f.certificates:
            rows = "".join(
                f"<li>{e(text)}: {'yes' if certain else 'NO'}</li>" for text, certain in f.certificates.items()
            )
            parts.append(f"<h3>Certified by enclosures</h3><ul>{rows}</ul>")
        for experiment in f.experiments:
            source = "data:image/png;base64," + base64.b64encode(_png(experiment)).decode()
            picture = f"<img alt='{e(experiment.title)}: measured and predicted values' src='{source}'>"
            parts.append(f"<h3>Experiment: {e(experiment.title)}</h3>")
            parts.append(f"<figure>{picture}<figcaption>{e(_sentence(experiment))}</figcaption></figure>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _verdict(finding: Finding) -> str:
    return f"<span class='{'open' if finding.failures else 'closed'}'>{finding.verdict}</span>"


def _sentence(experiment: Experiment) -> str:
    kind = "absolute" if experiment.absolute else "relative"
    note = f" {experiment.note}." if experiment.note else ""
    outcome = "holds" if experiment.holds else "FAILS"
    return f"Largest {kind} gap {experiment.gap:.2g}, allowed {experiment.tolerance:g}: {outcome}.{note}"


def _png(experiment: Experiment) -> bytes:
    buffer = io.BytesIO()
    plots.draw_experiment(experiment).savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
