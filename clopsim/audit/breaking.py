"""Long formulas over several lines: MathML has no line breaks of its own, so a formula becomes a row of small ones.

A browser breaks between them wherever its page ends: before a relation, before a term of a sum, after a comma. A long
bracket or numerator opens, so that its terms can stand on lines of their own: (a + b)/c becomes 1/c (a + b).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from clopsim.audit.typeset import mathml

if TYPE_CHECKING:
    import sympy as sp

STYLE = """
math { font-family: "STIX Two Math", "Cambria Math", "Latin Modern Math", "DejaVu Math TeX Gyre", math; }
.formula { overflow-x: auto; overflow-y: hidden; padding: .35rem 0 .35rem 2em; text-indent: -2em; }
.formula math { font-size: 1.1em; text-indent: 0; padding: .15em 0; }
.formula mtd { math-depth: 0; math-style: normal; padding: .3em .5em; }
"""
"""Rules for a page with formulas: brackets stretch in a font that is made for them alone."""

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
RELATIONS = frozenset("=≤≥<>≈→∼")
TERMS = frozenset("+−-±")
NO_OPERAND = RELATIONS | TERMS | set("(,·∼")
"""What a sign after it belongs to the number that follows."""

LONG = 34
"""Letters, numbers and signs from which a numerator opens: about half a page."""
BRACKET = 12
"""The same for a bracket, which looks no different when it is open."""
BRIEF = 14
"""A left-hand side up to this long keeps what follows on its line."""
CELL = 8
"""Letters and signs up to which a matrix's entry stays on one line: three terms or so."""
WIDE = 17
"""From this on a piece may be wider than a phone."""


def display(formula: "sp.Basic", left: str = "") -> str:
    """A formula in a block of its own, as HTML; where it may be wider than a phone, the keyboard can scroll it."""
    broken, wide = pieces(mathml(formula, left))
    return f"<div class='formula'{' tabindex=0' if wide else ''}>{broken}</div>"


def pieces(math: str) -> tuple[str, bool]:
    """A formula, one <math> element, as the <math> elements that may each begin a line; and whether one may be wide."""
    ElementTree.register_namespace("", NAMESPACE)
    found: list[list[Element]] = [[]]
    before: Element | None = None
    for node in _opened(ElementTree.fromstring(math)):
        sign = _sign(node)
        infix = before is not None and _sign(before) not in NO_OPERAND
        left = sum(map(_size, found[0])) if len(found) == 1 else LONG
        starts = sign in TERMS or (sign in RELATIONS and left > BRIEF)
        if infix and sign in TERMS | RELATIONS:
            node.set("form", "infix")  # at the beginning of a row it would be a sign, with no space behind it
        if found[-1] and ((infix and starts) or (before is not None and _sign(before) == ",")):
            found.append([])
        found[-1].append(node)
        before = node
    return "<wbr>".join(map(_math, found)), max(sum(map(_size, piece)) for piece in found) > WIDE


def _math(nodes: Iterable[Element]) -> str:
    math = _made("math")
    math.set("displaystyle", "true")
    row = _made("mrow")
    row.extend(nodes)
    math.append(row)
    return ElementTree.tostring(math, encoding="unicode")


def _opened(row: Element) -> Iterator[Element]:
    """What stands in a row, from left to right, with long brackets, numerators and lists opened."""
    for node in list(row):
        if _tag(node) == "mfrac" and _size(node[0]) > LONG and any(_sign(one) in TERMS for one in _opened(node[0])):
            over, (numerator, denominator) = _made("mfrac"), list(node)
            over.extend((_made("mn", "1"), denominator))
            yield over
            yield from _bracketed(numerator, "(", ")")
        elif _tag(node) != "mrow":
            yield node
        elif not _fenced(node):
            yield from _opened(node)
        elif len(table := [one for one in node if _tag(one) == "mtable"]) == 1 and len(table[0]) == 1:
            yield from _listed(node, table[0][0])
        elif _size(node) > BRACKET and not table:
            inside = _made("mrow")
            inside.extend(list(node)[1:-1])
            yield from _bracketed(inside, node[0].text or "(", node[-1].text or ")")
        else:
            for cell in node.iter(f"{{{NAMESPACE}}}mtd"):
                _stack(cell)
            yield node


def _bracketed(inside: Element, opening: str, closing: str) -> Iterator[Element]:
    """The contents between brackets of one height, which need not stand on the same line."""
    tall = any(_tag(one) in ("mfrac", "mtable") for one in inside.iter())
    for text in (opening, None, closing):
        if text is None:
            yield from _opened(inside)
            continue
        bracket = _made("mo", text)
        size = {"minsize": "2.2em", "maxsize": "2.2em", "symmetric": "true"} if tall else {"stretchy": "false"}
        for name, value in {"fence": "true", "form": "prefix" if text == opening else "postfix", **size}.items():
            bracket.set(name, value)
        yield bracket


def _listed(brackets: Element, row: Element) -> Iterator[Element]:
    """A row vector as its entries between commas."""
    for bracket in (brackets[0], brackets[-1]):
        bracket.set("stretchy", "false")
    yield brackets[0]
    for number, cell in enumerate(row):
        if number:
            comma = _made("mo", ",")
            comma.set("rspace", "0.4em")
            yield comma
        yield from _opened(cell)
    yield brackets[-1]


def _stack(cell: Element) -> None:
    """A long sum in a matrix: three terms a line."""
    nodes = list(_opened(cell))
    starts = [k for k, node in enumerate(nodes) if k and _sign(node) in TERMS]
    if len(starts) < 3 or _size(cell) <= CELL:
        return
    table, cuts = _made("mtable"), [0, *starts[2::3], len(nodes)]
    for first, last in pairwise(cuts):
        table.append(line := _made("mtr"))
        line.append(entry := _made("mtd"))
        entry.extend(nodes[first:last])
    cell[:] = [table]


def _made(tag: str, text: str | None = None) -> Element:
    node = Element(f"{{{NAMESPACE}}}{tag}")
    node.text = text
    return node


def _tag(node: Element) -> str:
    return re.sub(r"\{.*\}", "", node.tag)


def _sign(node: Element) -> str:
    return (node.text or "") if _tag(node) == "mo" else ""


def _fenced(row: Element) -> bool:
    return len(row) > 1 and row[0].get("form") == "prefix" and row[-1].get("form") == "postfix"


def _size(node: Element) -> int:
    """Letters, numbers and signs side by side: of a fraction the longer part counts."""
    if _tag(node) == "mfrac":
        return max(map(_size, node))
    return sum(map(_size, node)) if len(node) else len(node.text or " ")
