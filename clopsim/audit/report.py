"""The audit as a document: every claim with its derivation step by step, its experiments and their figures."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clopsim.audit import graph
from clopsim.audit.page import to_html
from clopsim.audit.picture import described, png
from clopsim.audit.run import Finding
from clopsim.audit.typeset import latex, prose
from clopsim.audit.words import Made, checked, headline, said, sentence, short, tables, totals


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


def write_report(findings: Sequence[Finding], path: Path, made: Made) -> None:
    """Write the findings to path, whose ending decides the form: .html (self-contained, MathML) or .md (LaTeX).

    Markdown figures go into a folder beside it, named after it. made: the version and the command, for the head.
    Errors: ValueError as in check_report, and for a full disk.
    """
    check_report(path)
    with _writing(path):
        text = (
            to_html(findings, made) if path.suffix.lower() == ".html" else to_markdown(findings, made, _figures(path))
        )
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


def to_markdown(findings: Sequence[Finding], made: Made, figures: Path) -> str:
    """The report in Markdown, formulas between dollar signs; its figures are written into the folder `figures`."""
    counts = f"{totals(findings)} Made by {made.version} with `{made.command}`."
    lines = ["# The audit of clopsim", "", _plain(headline(findings)), "", counts]
    lines += [f"\n**{one.claim.identifier} fails:** {_plain(text)}" for one in findings for text in one.failures]
    for _, title, head, part in tables(findings):
        lines += ["", f"## {title}", "", f"| | {head} | verdict | what holds |", "|---|---|---|---|"]
        lines += [_row(finding) for finding in part]
    edges = graph.uses(findings)
    arrows = [f"  {name} --> {used}" for name, all_used in edges.items() for used in all_used]
    if arrows:
        lines += ["", "## Which proof uses which theorem", "", "```mermaid", "graph RL", *arrows, "```"]
    for finding in findings:
        lines += _section(finding, edges[finding.claim.identifier], figures)
    return "\n".join(lines) + "\n"


def _row(finding: Finding) -> str:
    claim = finding.claim
    source = f" ({claim.source})" if said(claim) else ""
    statement = f"{claim.system}: {claim.statement}" if claim.system else claim.statement
    cells = (_link(claim.identifier), _plain(statement + source), finding.verdict, _plain(short(claim)))
    return f"| {' | '.join(cells)} |"


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _section(finding: Finding, used: Sequence[str], figures: Path) -> list[str]:
    """One claim: its verdict, its proofs step by step, its enclosures, its experiments with their figures."""
    claim = finding.claim
    on = f", on {finding.evidence}" if finding.evidence else ""
    uses = f" *Uses* {', '.join(map(_link, used))}." if used else ""
    lines = ["", f"## {claim.identifier}", "", f"**{_plain(claim.statement)}**", ""]
    lines += [
        f"*Source:* {claim.source}. *Assumes:* {_plain(claim.assumptions)}."
        f" *Verdict:* **{finding.verdict}**{on}.{uses}",
        "",
        _plain(claim.finding),
    ]
    lines += [f"\n**Fails:** {_plain(failure)}" for failure in finding.failures]
    for proof in finding.proofs:
        lines += ["", f"### Proof of {proof.derivation.theorem}", "", _plain(proof.derivation.statement), ""]
        for number, step in enumerate(proof.derivation.steps, start=1):
            lines += [f"{number}. {_plain(step.text)}", ""]
            if step.formula is not None:
                lines += [f"   $${latex(step.formula, step.left)}$$", ""]
        lines += [checked(proof)]
    if finding.certificates:
        lines += ["", "### Certified by enclosures", ""]
        lines += [
            f"- {_plain(statement)}: {'yes' if certain else '**no**'}"
            for statement, certain in finding.certificates.items()
        ]
    for number, experiment in enumerate(finding.experiments, start=1):
        figures.mkdir(parents=True, exist_ok=True)
        picture = figures / f"{claim.identifier}-{number}.png"
        picture.write_bytes(png(experiment))
        lines += ["", f"### Experiment: {_plain(experiment.title)}", ""]
        alternative = described(experiment).replace("[", "(").replace("]", ")")
        lines += [f"![{alternative}]({figures.name}/{picture.name})", "", _plain(sentence(experiment))]
        lines += [f"- {word}: {_plain(text)}" for word, text in experiment.verdicts]
    return lines


def _plain(text: str) -> str:
    """Prose for Markdown, whose own signs are escaped."""
    return re.sub(r"([*|])", r"\\\1", prose(text))
