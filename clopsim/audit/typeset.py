"""Plain-text mathematics, as docstrings and proofs have it, and sympy formulas, for a page or a picture."""

import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy as sp

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "Delta": "Δ", "epsilon": "ε", "theta": "θ", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ",
}  # fmt: skip
SIGNS = {"+-": "±", ">=": "≥", "<=": "≤", "!=": "≠", "->": "→"}
NAME = re.compile(rf"(?<![A-Za-z])(d?)({'|'.join(GREEK)})(?![A-Za-z])")
INDEX = re.compile(r"(?<![A-Za-z_])(d?[A-Za-z]|[α-ωΔΣ|]|max|min)_(\([^()]*\)|[A-Za-z0-9]{1,4}(?![A-Za-z0-9_]))")
POWER = re.compile(r"\^(\((?:[^()]|\([^()]*\))*\)|-?\w+|\*)")


def greek(text: str) -> str:
    """The text with Greek letters and signs instead of their names: "mu_c >= 2 tau" becomes "μ_c ≥ 2 τ"."""
    for name, sign in SIGNS.items():
        text = text.replace(name, sign)
    text = re.sub(r"(?<![A-Za-z])sum_", "Σ_", text)
    text = re.sub(r"(?<![A-Za-z])sqrt\((\w)\)", r"√\1", text)
    text = re.sub(r"(?<![A-Za-z])sqrt\(", "√(", text)
    return NAME.sub(lambda match: match[1] + GREEK[match[2]], text)


def prose(text: str) -> str:
    """A sentence as HTML: Greek letters, indices and powers set as such, everything else escaped."""
    text = html.escape(greek(text), quote=False)
    text = INDEX.sub(lambda match: f"{match[1]}<sub>{_bare(match[2])}</sub>", text)
    return POWER.sub(lambda match: f"<sup>{_bare(match[1])}</sup>", text)


def mathml(formula: "sp.Basic") -> str:
    """A formula as presentation MathML, in display style."""
    from sympy.core.function import AppliedUndef
    from sympy.printing.mathml import MathMLPresentationPrinter

    class Printer(MathMLPresentationPrinter):  # type: ignore[misc]
        def mathml_tag(self, e: "sp.Basic") -> str:
            """As sympy's, which writes the names of undefined functions in lower case."""
            return greek(str(e.func)) if isinstance(e, AppliedUndef) else str(super().mathml_tag(e))

        def _print_exp(self, e: "sp.Basic") -> Any:
            """As sympy's, with the exponent's fractions on one line: stacked they are too small to read."""
            power = super()._print_exp(e)
            for fraction in list(power.getElementsByTagName("mfrac")):
                above, below = fraction.childNodes
                slash = self.dom.createElement("mo")
                slash.appendChild(self.dom.createTextNode("/"))
                row = self.dom.createElement("mrow")
                signs = [part.firstChild.data for part in above.childNodes if getattr(part, "tagName", "") == "mo"]
                sums = {"+", "-"} & set(signs)
                for part in ([self._l_paren(), above, self._r_paren()] if sums else [above]) + [slash, below]:
                    row.appendChild(part)
                fraction.parentNode.replaceChild(row, fraction)
            return power

    body = Printer({"fold_short_frac": True}).doprint(formula)
    for mark, letter in (("&ExponentialE;", "e"), ("&dd;", "d"), ("<mo>-</mo>", "<mo>&minus;</mo>")):
        body = body.replace(mark, letter)
    return f"<math display='block'>{body}</math>"


def _bare(group: str) -> str:
    return group[1:-1] if group.startswith("(") else group
