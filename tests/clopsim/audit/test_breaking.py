from xml.etree import ElementTree

import pytest
import sympy as sp

from clopsim.audit.breaking import NAMESPACE, STYLE, display, pieces
from clopsim.audit.typeset import mathml

A, B, C, X, TAU = sp.symbols("a b c x tau", positive=True)
LONG = sum(sp.Symbol(f"z_{k}") * (sp.Symbol(f"y_{k}") - sp.Symbol(f"u_{k}")) for k in range(1, 7))


def lines(formula, left=""):
    """The text of each piece that may begin a line."""
    broken, _ = pieces(mathml(formula, left))
    page = ElementTree.fromstring(f"<p>{broken.replace('<wbr>', '')}</p>")
    return ["".join(piece.itertext()) for piece in page]


@pytest.mark.parametrize(
    ("formula", "left", "expected"),
    [
        (A + B - C, "x", ["x=a", "+b", "−c"]),
        (-A + B, "x", ["x=b", "−a"]),
        (-A, "x <=", ["x≤−a"]),
        (A * B, "", ["ab"]),
        (sp.Eq(A + B + C * (1 + A + B + C) * (1 - A - B - C), X), "", None),  # a long left side stands alone
        (sp.Matrix([[A, B + C]]), "v", ["v=(a,", "b", "+c)"]),
    ],
)
def test_where_a_formula_may_break(formula, left, expected):
    found = lines(formula, left)
    if expected is None:
        assert found[-1] == "=x"
    else:
        assert found == expected


def test_a_sign_between_two_terms_is_no_sign_of_a_number():
    broken, _ = pieces(mathml(A - B, "x"))
    assert broken.count('form="infix"') == 2  # that of the relation too
    assert 'form="infix"' not in pieces(mathml(-B))[0]


def test_a_long_numerator_opens_and_a_short_one_does_not():
    assert lines((A + B) / TAU) == ["a+bτ"]
    found = lines(LONG / TAU)
    assert found[0].startswith("1τ(")
    assert found[-1].endswith(")")
    assert len(found) == 6
    assert "<mfrac" in pieces(mathml(LONG / TAU))[0]


def test_nothing_is_lost_but_where_a_fraction_opens(derived):
    """Letter for letter; what opens has a 1 and two brackets more, a row vector its commas."""
    checked = 0
    for all_of in derived.values():
        for step in (step for one in all_of for step in one.steps if step.formula is not None):
            text = mathml(step.formula, step.left)
            whole = "".join(ElementTree.fromstring(text).itertext())
            broken = "".join(lines(step.formula, step.left))
            if broken != whole:
                assert sorted(broken.translate({ord(sign): None for sign in "1(),"})) == sorted(
                    whole.translate({ord(sign): None for sign in "1(),"})
                ), step.text
                continue
            checked += 1
    assert checked > 350


def test_a_long_sum_in_a_matrix_stands_on_lines():
    entry = sum(sp.symbols("a:h"))
    table = sp.Matrix([[entry, A], [B, entry]])
    broken, wide = pieces(mathml(table, "H"))
    math = ElementTree.fromstring(broken)
    assert [len(inner) for inner in math.iter(f"{{{NAMESPACE}}}mtable")] == [2, 3, 3]
    assert wide


def test_no_formula_of_the_ledger_is_wider_than_a_laptop_s_page(derived, browser):
    formulas = [step for all_of in derived.values() for one in all_of for step in one.steps if step.formula is not None]
    page = browser.new_page()
    text = "".join(display(step.formula, step.left) for step in formulas)
    page.set_content(f"<style>{STYLE}</style><div style='font: 16px system-ui; width: 890px'>{text}</div>")
    wide = "[...document.querySelectorAll('.formula')].map((one) => one.scrollWidth > one.clientWidth)"
    assert [step.text for step, over in zip(formulas, page.evaluate(wide), strict=True) if over] == []
    page.set_content(f"<style>{STYLE}</style><div style='font: 16px system-ui; width: 332px'>{text}</div>")
    assert any(page.evaluate(wide))  # on a phone some scroll: then the keyboard can
    assert not any(
        page.evaluate(
            "[...document.querySelectorAll('.formula:not([tabindex])')].map((f) => f.scrollWidth > f.clientWidth)"
        )
    )
    page.close()
