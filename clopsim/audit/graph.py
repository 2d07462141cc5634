"""Which theorems the proofs of an audit use, and the picture of it: theorems in columns, a link each."""

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from clopsim.audit.run import Finding
from clopsim.audit.typeset import greek

THEOREM = re.compile(r"\bT(\d+)([a-z]?)\b")
WIDTH, HEIGHT, COLUMN, ROW = 44, 24, 110, 32
"""Of a box and from box to box, in pixels: six columns are as wide as a page of text."""


def uses(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """For every claim of the audit those that it uses, in the order of the ledger.

    They are what it rests on, and the theorems of smaller numbers that its proofs or its assumptions name, which keeps
    the graph without cycles: a theorem may say what a later one adds.
    """
    known = [finding.claim.identifier for finding in findings]
    found = {}
    for finding in findings:
        claim = finding.claim
        named = set(claim.rests_on)
        if THEOREM.fullmatch(claim.identifier):
            texts = [claim.assumptions]
            for proof in finding.proofs:
                texts += [proof.derivation.statement, *(step.text for step in proof.derivation.steps)]
            named |= {match[0] for match in THEOREM.finditer(" ".join(texts)) if _before(match[0], claim.identifier)}
        found[claim.identifier] = [name for name in known if name in named]
    return found


def _before(one: str, other: str) -> bool:
    """Whether a theorem has the smaller number."""
    return _number(one) < _number(other)


def _number(name: str) -> tuple[int, str]:
    match = THEOREM.fullmatch(name)
    return (int(match[1]), match[2]) if match else (0, "")


def used_by(edges: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The same the other way round."""
    return {name: [user for user, used in edges.items() if name in used] for name in edges}


def depths(edges: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Length of the longest chain below each: 0 for what uses nothing. The graph has no cycles."""
    found: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((depth(used) for used in edges[name]), default=-1)
        return found[name]

    for name in edges:
        depth(name)
    return found


def draw(findings: Sequence[Finding]) -> str:
    """The theorems that use another or are used, as SVG in columns by depth, each a link; empty for none."""
    theorems = {one.claim.identifier: one for one in findings if THEOREM.fullmatch(one.claim.identifier)}
    edges = {name: used for name, used in uses(findings).items() if name in theorems}
    users = used_by(edges)
    edges = {name: used for name, used in edges.items() if used or users[name]}
    if not edges:
        return ""
    place = _places(edges)
    wide = max(x for x, _ in place.values()) + WIDTH + 2
    high = max(y for _, y in place.values()) + HEIGHT + 2
    parts = [
        f"<svg class='graph' viewBox='0 0 {wide} {high}' width='{wide}' height='{high}' role='group'"
        " aria-label='Theorems in columns; a line leads from each to those left of it that its proof uses'>"
    ]
    for name, (x, y) in sorted(place.items(), reverse=True, key=lambda item: item[1][0]):  # boxes above lines
        lines = "".join(_line(place[used], (x, y)) for used in edges[name])
        finding = theorems[name]
        said = html.escape(greek(f"{name}, {finding.verdict}: {finding.claim.statement}"), quote=True)
        if edges[name]:
            said += f" Uses {', '.join(edges[name])}."
        parts.append(
            f"<a href='#{name}' class='{finding.verdict.replace(' ', '-')}'><title>{said}</title>{lines}"
            f"<rect x='{x}' y='{y}' width='{WIDTH}' height='{HEIGHT}' rx='5'/>"
            f"<text x='{x + WIDTH / 2:g}' y='{y + HEIGHT / 2 + 4.5:g}'>{name}</text></a>"
        )
    return "\n".join([*parts, "</svg>"])


def _places(edges: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Upper left corners: columns by depth, in a column at the mean height of what is used, as near as boxes allow."""
    depth = depths(edges)
    users = used_by(edges)
    sizes = Counter(depth.values())
    rows: dict[str, float] = {}
    for column in range(max(sizes) + 1):
        names = [name for name in edges if depth[name] == column]
        if column == 0:  # in the order of their first users
            names.sort(key=lambda name: min(list(edges).index(user) for user in users[name]))
            rows |= {name: float(k) for k, name in enumerate(names)}
            continue
        wanted = {name: sum(rows[used] for used in edges[name]) / len(edges[name]) for name in names}
        names.sort(key=lambda name: wanted[name])
        shift = sum(wanted.values()) / len(names) - (len(names) - 1) / 2
        start = min(max(0.0, shift), max(0.0, max(sizes.values()) - len(names)))
        rows |= {name: start + k for k, name in enumerate(names)}
    return {name: (1 + COLUMN * depth[name], round(1 + ROW * rows[name])) for name in edges}


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A curve from the right side of one box to the left side of another."""
    (x0, y0), (x1, y1) = (start[0] + WIDTH, start[1] + HEIGHT // 2), (end[0], end[1] + HEIGHT // 2)
    half = (x1 - x0) // 2
    return f"<path d='M{x0} {y0}C{x0 + half} {y0} {x1 - half} {y1} {x1} {y1}'/>"
