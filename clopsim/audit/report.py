"""The audit as a document: every claim with its derivation step by step, its experiments and their figures."""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clopsim.audit.claim import OURS
from clopsim.audit.experiments import Experiment
from clopsim.audit.picture import draw_experiment
from clopsim.audit.run import Finding, Proof
from clopsim.audit.typeset import mathml, prose

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc; vertical-align: top; }
.formula { overflow-x: auto; overflow-y: hidden; margin: .3rem 0 .6rem; padding: .25rem 0; }
ol li { margin-bottom: .4rem; }
.open { color: #b00020; font-weight: bold; }
.quiet { color: #666; }
sub, sup { line-height: 0; }
figure { margin: 1rem 0; }
img { max-width: 100%; background: #fff; }
@media (prefers-color-scheme: dark) {
  body { background: #161616; color: #ddd; }
  td, th { border-color: #444; }
  .quiet { color: #aaa; }
  a { color: #8ab4f8; }
}
"""


def check_report(path: Path) -> None:
    """ValueError unless a report can be written to path: the ending is known, the folder is there and takes files."""
    if path.suffix.lower() not in (".md", ".html"):
        raise ValueError(f"report must end in .md or .html, got {str(path)!r}; rename it")
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(f"report must be a file in a folder that exists, got {str(path)!r}; make the folder first")
    with _writing(path):
        if path.suffix.lower() == ".md" and _figures(path).exists() and not _figures(path).is_dir():
            raise ValueError(f"report needs a folder {_figures(path).name} for figures, got a file there; rename it")
        _staging(path).touch()
        _staging(path).unlink()


def write_report(findings: Sequence[Finding], path: Path) -> None:
    """Write the findings to path, whose ending decides the form: .html (self-contained, MathML) or .md (LaTeX).

    Markdown figures go into a folder beside it, named after it. Errors: ValueError as in check_report, and for a full
    disk.
    """
    check_report(path)
    with _writing(path):
        text = to_html(findings) if path.suffix == ".html" else to_markdown(findings, _figures(path))
        try:
            _staging(path).write_text(text, encoding="utf-8")
            _staging(path).replace(path)
        finally:
            _staging(path).unlink(missing_ok=True)


def _figures(path: Path) -> Path:
    return path.with_name(path.stem + "-figures")


def _staging(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"report must be a file that can be written, got {str(path)!r} ({error.strerror}); choose another folder"
        ) from None


def to_markdown(findings: Sequence[Finding], figures: Path) -> str:
    """The report in Markdown, formulas between dollar signs; its figures are written into the folder `figures`."""
    import sympy as sp

    lines = ["# The audit"]
    for title, said, part in _tables(findings):
        lines += ["", f"## {title}", "", f"| | {said} | verdict | what became of it |", "|---|---|---|---|"]
        lines += [
            f"| {f.claim.identifier} | {_plain(_said(f))} | {f.verdict} | {_plain(f.claim.finding)} |" for f in part
        ]
    for finding in findings:
        claim = finding.claim
        lines += ["", f"## {claim.identifier}: {_plain(claim.statement)}", ""]
        lines += [
            f"*Source:* {claim.source}. *Assumes:* {_plain(claim.assumptions)}. *Verdict:* **{finding.verdict}**"
            f"{_on(finding)}.",
            "",
            _plain(claim.finding),
        ]
        lines += [f"\n**Fails:** {_plain(failure)}" for failure in finding.failures]
        for proof in finding.proofs:
            lines += ["", f"### Derivation of {proof.derivation.theorem}", "", _plain(proof.derivation.statement), ""]
            for number, step in enumerate(proof.derivation.steps, start=1):
                lines += [f"{number}. {_plain(step.text)}", ""]
                if step.formula is not None:
                    lines += ["   $$" + sp.latex(step.formula) + "$$", ""]
            lines += [_plain(_checked(proof))]
        if finding.certificates:
            lines += ["", "### Certified by enclosures", ""]
            lines += [
                f"- {_plain(statement)}: {'yes' if certain else '**no**'}"
                for statement, certain in finding.certificates.items()
            ]
        for number, experiment in enumerate(finding.experiments, start=1):
            figures.mkdir(parents=True, exist_ok=True)
            picture = figures / f"{claim.identifier}-{number}.png"
            picture.write_bytes(_png(experiment))
            lines += [
                "",
                f"### Experiment: {_plain(experiment.title)}",
                "",
                f"![measured and predicted values]({figures.name}/{picture.name})",
            ]
            lines += ["", _plain(_sentence(experiment))]
    return "\n".join(lines) + "\n"


def to_html(findings: Sequence[Finding]) -> str:
    """The report as one self-contained page: MathML formulas, pictures inline, no script, no request."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>clopsim: the audit</title>",
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head><body><h1>The audit</h1>",
    ]
    for title, said, part in _tables(findings):
        parts.append(
            f"<h2>{title}</h2><table><tr><th></th><th>{said}</th><th>verdict</th><th>what became of it</th></tr>"
        )
        for f in part:
            mark = f.claim.identifier
            parts.append(
                f"<tr><td><a href='#{mark}'>{mark}</a></td><td>{prose(_said(f))}</td><td>{_verdict(f)}</td>"
                f"<td>{prose(f.claim.finding)}</td></tr>"
            )
        parts.append("</table>")
    for f in findings:
        claim = f.claim
        parts.append(f"<h2 id='{claim.identifier}'>{claim.identifier}: {prose(claim.statement)}</h2>")
        parts.append(f"<p class='quiet'>Source: {prose(claim.source)}. Assumes: {prose(claim.assumptions)}.</p>")
        parts.append(f"<p>Verdict: {_verdict(f)}{_on(f)}. {prose(claim.finding)}</p>")
        parts += [f"<p class='open'>Fails: {prose(failure)}</p>" for failure in f.failures]
        for proof in f.proofs:
            parts.append(
                f"<h3>Derivation of {proof.derivation.theorem}</h3><p>{prose(proof.derivation.statement)}</p><ol>"
            )
            for step in proof.derivation.steps:
                formula = ""
                if step.formula is not None:
                    formula = f"<div class='formula'>{mathml(step.formula)}</div>"
                parts.append(f"<li>{prose(step.text)}{formula}</li>")
            parts.append(f"</ol><p class='quiet'>{prose(_checked(proof))}</p>")
        if f.certificates:
            rows = "".join(
                f"<li>{prose(text)}: {'yes' if certain else 'NO'}</li>" for text, certain in f.certificates.items()
            )
            parts.append(f"<h3>Certified by enclosures</h3><ul>{rows}</ul>")
        for experiment in f.experiments:
            source = "data:image/png;base64," + base64.b64encode(_png(experiment)).decode()
            picture = f"<img alt='measured and predicted values' src='{source}'>"
            parts.append(f"<h3>Experiment: {prose(experiment.title)}</h3>")
            parts.append(f"<figure>{picture}<figcaption>{prose(_sentence(experiment))}</figcaption></figure>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _tables(findings: Sequence[Finding]) -> Iterator[tuple[str, str, list[Finding]]]:
    """Title, head of the statements and findings of each table of the first page: the papers first."""
    said = [finding for finding in findings if finding.claim.identifier.startswith("P")]
    zoo = [finding for finding in said if finding.claim.system]
    papers = [finding for finding in said if not finding.claim.system]
    theorems = [finding for finding in findings if finding not in said]
    if papers:
        yield "What the papers said, and what became of it", "what they said", papers
    if zoo:
        yield "The zoo: what other losses' authors said", "what they said", zoo
    if theorems:
        yield "The theorems", "statement", theorems


def _said(finding: Finding) -> str:
    """The statement, with its source where it is not ours alone."""
    claim = finding.claim
    said = f"{claim.system}: {claim.statement}" if claim.system else claim.statement
    return said if claim.source.startswith(OURS) else f"{said[:-1]} ({claim.source})."


def _on(finding: Finding) -> str:
    """What the verdict rests on, in a few words; empty where nothing decides it."""
    return f", on {finding.evidence}" if finding.evidence else ""


def _verdict(finding: Finding) -> str:
    return f"<span class='{'open' if finding.failures else 'closed'}'>{finding.verdict}</span>"


def _plain(text: str) -> str:
    """Prose for Markdown, whose own signs are escaped."""
    return re.sub(r"([*|])", r"\\\1", prose(text))


def _checked(proof: Proof) -> str:
    """Which identities sympy simplified to zero, and how often the code agrees; the others are among the failures."""
    names = [name for name in proof.derivation.zeros if name not in proof.rest]
    agreements = len(proof.derivation.agreements)
    said = f"Simplified to zero by sympy: {'; '.join(names)}." if names else ""
    held = f"The code gives what is derived at {agreements - len(proof.apart)} of {agreements} points."
    return f"{said} {held}".strip() if agreements else said


def _sentence(experiment: Experiment) -> str:
    kind = "absolute" if experiment.absolute else "relative"
    note = f" {experiment.note[0].upper()}{experiment.note[1:]}." if experiment.note else ""
    outcome = "holds" if experiment.holds else "FAILS"
    verdicts = "".join(f" {verdict.capitalize()}: {text}." for verdict, text in experiment.verdicts)
    return f"Largest {kind} gap {experiment.gap:.2g}, allowed {experiment.tolerance:g}: {outcome}.{note}{verdicts}"


def _png(experiment: Experiment) -> bytes:
    buffer = io.BytesIO()
    draw_experiment(experiment).savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
