import pytest
import sympy as sp

from clopsim.audit.typeset import greek, label, latex, mathml, prose


@pytest.mark.parametrize(
    "text, expected",
    [
        ("mu_c >= 2 tau", "μ_c ≥ 2 τ"),
        ("lambda sqrt(K-1) -> sqrt(2)", "λ √(K−1) → √2"),
        ("sum_k n_k, dv/dtheta", "Σ_k n_k, dv/dθ"),
        ("a multiple, the music of thetas", "a multiple, the music of thetas"),
        ("zbar is not a crossbar", "z\u0304 is not a crossbar"),
        ("z_i.z_j, z.g. Not e.g. CLOPLoss.py", "z_i·z_j, z·g. Not e.g. CLOPLoss.py"),
        (
            "1 - 2 mu/tau, -2n/(n-1), log-sum-exp, PGD-20, 64-128, --report",
            "1 − 2 μ/τ, −2n/(n−1), log-sum-exp, PGD-20, 64-128, --report",
        ),
    ],
)
def test_greek(text, expected):
    assert greek(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("mu_c = tau (n-1)/(n-2)", "μ<sub>c</sub> = τ (n−1)/(n−2)"),
        ("|u|^2, e^(-(1 - s)/tau)", "|u|<sup>2</sup>, e<sup>−(1 − s)/τ</sup>"),
        ("lambda^2 max_k n_k", "λ<sup>2</sup> max<sub>k</sub> n<sub>k</sub>"),
        ("sum_(a != i) P_ia < 1 & more", "Σ<sub>a ≠ i</sub> P<sub>ia</sub> &lt; 1 &amp; more"),
        ("class_weight of z_i = +-z*", "class_weight of z<sub>i</sub> = ±z<sup>∗</sup>"),
        ("Gamma_ij, 2/(c_- + 2a), kappa^-nu", "Γ<sub>ij</sub>, 2/(c<sub>−</sub> + 2a), κ<sup>−ν</sup>"),
        ("as `a_b --c` prints for a_b", "as <code>a_b --c</code> prints for a<sub>b</sub>"),
    ],
)
def test_prose(text, expected):
    assert prose(text) == expected


def test_labels_of_axes():
    assert label("learning rate / mu_c, |m|^2") == "learning rate / μ$_{c}$, |m|$^{2}$"


X, N, TAU = sp.symbols("x n tau", positive=True)


@pytest.mark.parametrize(
    "formula, left, expected",
    [
        (1 - X / TAU, "", r"1 - \frac{x}{\tau }"),  # what is subtracted comes last
        (X / (N - 1) + 1, "m", r"m = \frac{x}{n - 1} + 1"),
        (sp.exp((X - 1) / TAU), "", r"e^{\left(x - 1\right) / \tau }"),  # an exponent on one line
        (sp.cos(X * N / (N - 1)), "", r"\cos{\left(\frac{n x}{n - 1} \right)}"),
        (X, "|g_i| <=", r"|g_{i}| \le x"),
        (X, "d^2L/depsilon^2", r"d^{2}L/d\epsilon ^{2} = x"),
        (X, "lambda*", r"\lambda ^{*} = x"),
        (X, "z_i.c_max", r"z_{i}\cdot c_{\max } = x"),
        (sp.Symbol("Gamma1_2"), "", r"\Gamma _{12}"),
        (sp.Symbol("zbar"), "", r"\bar{z}"),
        (sp.Symbol("pull"), "", r"\mathrm{pull}"),
        (sp.Symbol("psi'"), "", r"\psi '"),
        (sp.besseli(N, X), "", r"I_{n}\left(x\right)"),
        (sp.Eq(X, TAU / 2), "", r"x = \frac{\tau }{2}"),
    ],
)
def test_latex(formula, left, expected):
    assert " ".join(latex(formula, left).split()) == expected


def test_brackets_stretch_and_scripts_are_scripts():
    text = mathml(sp.log(X / (N - 1) + sp.Symbol("Gamma_12")), "L")
    assert text.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow><mi>L</mi>')
    assert 'stretchy="true"' in text
    assert "<msub><mi>&#x00393;</mi><mrow><mn>12</mn></mrow></msub>" in text


def test_every_formula_of_the_ledger_can_be_set(derived):
    formulas = [step for all_of in derived.values() for one in all_of for step in one.steps if step.formula is not None]
    assert len(formulas) > 400
    for step in formulas:
        assert "\\" not in mathml(step.formula, step.left), step.text  # LaTeX that was not understood
