import pytest
import sympy as sp

from clopsim.audit.typeset import greek, mathml, prose


@pytest.mark.parametrize(
    "text, expected",
    [
        ("mu_c >= 2 tau", "μ_c ≥ 2 τ"),
        ("lambda sqrt(K-1) -> sqrt(2)", "λ √(K-1) → √2"),
        ("sum_k n_k, dv/dtheta", "Σ_k n_k, dv/dθ"),
        ("a multiple, the music of thetas", "a multiple, the music of thetas"),
    ],
)
def test_greek(text, expected):
    assert greek(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("mu_c = tau (n-1)/(n-2)", "μ<sub>c</sub> = τ (n-1)/(n-2)"),
        ("|u|^2, e^(-(1 - s)/tau)", "|u|<sup>2</sup>, e<sup>-(1 - s)/τ</sup>"),
        ("lambda^2 max_k n_k", "λ<sup>2</sup> max<sub>k</sub> n<sub>k</sub>"),
        ("sum_(a != i) P_ia < 1 & more", "Σ<sub>a ≠ i</sub> P<sub>ia</sub> &lt; 1 &amp; more"),
        ("class_weight of z_i = +-z*", "class_weight of z<sub>i</sub> = ±z*"),
    ],
)
def test_prose(text, expected):
    assert prose(text) == expected


def test_formulas_keep_names_and_have_no_double_struck_letters():
    tau, k = sp.symbols("tau k", positive=True)
    formula = sp.Function("X")(k) * sp.exp((k - 1) / tau) - sp.exp(k / tau) + sp.Derivative(sp.Symbol("P"), k)
    text = mathml(formula)
    assert text.startswith("<math display='block'>")
    assert "<mi>X</mi>" in text
    assert "&ExponentialE;" not in text
    assert "&dd;" not in text
    assert "<mi>&#964;</mi>" in text
    exponent = text[text.index("<msup>") :]
    assert "<mo>/</mo>" in exponent
    assert "mfrac" not in exponent[: exponent.index("</msup>")]
