"""Plain-text mathematics, as docstrings and proofs have it, and sympy formulas, for a page or a picture."""

import html
import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy as sp

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ",
    "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "eps": "ε", "Gamma": "Γ", "Delta": "Δ", "Sigma": "Σ",
}  # fmt: skip
SIGNS = {"+-": "±", ">=": "≥", "<=": "≤", "!=": "≠", "->": "→", "<-": "←"}

LETTER = "[A-Za-zα-ωΓΔΣ]"
NAME = re.compile(rf"(?<![A-Za-z])(d?)({'|'.join(GREEK)})(?![A-Za-z])")
BAR = re.compile(r"(?<![A-Za-z])([A-Za-z])bar(?![A-Za-z])")
MINUS = re.compile(
    rf"(?<![\w^-])-(?={LETTER}(?![A-Za-z])|[\d(|√]|log|cos|sin|max)"  # a sign
    rf"|(?<= )-(?= )|(?<![A-Za-z][A-Za-z])(?:(?<=[\w)|])-(?={LETTER}(?![A-Za-z])|[(|√])|(?<=[^\W\d]|[)|])-(?=\d))"
)
"""Between two letters or brackets it is one; in a word, or between two numbers, it is a hyphen."""
DOT = re.compile(rf"(?<![A-Za-z.])(?!e\.g\.|i\.e\.)({LETTER}(?:_\w{{1,4}}|[*'])?)\.(?={LETTER}(?![A-Za-z]))")
INDEX = re.compile(
    rf"(?<![A-Za-z_])(d?{LETTER}\u0304?|\||max|min)_"
    r"(\([^()]*\)|[A-Za-z0-9]{1,4}(?![A-Za-z0-9_])|[α-ω]|[+−-](?![\w(]))"
)
STAR = re.compile(rf"(?<={LETTER})\*(?![\w(*])")
POWER = re.compile(r"\^(\((?:[^()]|\([^()]*\))*\)|[−-]?\w+|\*)")


def greek(text: str) -> str:
    """The text with Greek letters and signs instead of their names: "mu_c >= 2 tau" becomes "μ_c ≥ 2 τ"."""
    for name, sign in SIGNS.items():
        text = text.replace(name, sign)
    text = re.sub(r"(?<![A-Za-z])sum_", "Σ_", text)
    text = re.sub(r"(?<![A-Za-z])sqrt\((\w)\)", r"√\1", text)
    text = re.sub(r"(?<![A-Za-z])sqrt\(", "√(", text)
    text = BAR.sub("\\1\u0304", text)  # a combining macron
    text = NAME.sub(lambda match: match[1] + GREEK[match[2]], text)
    return MINUS.sub("−", DOT.sub(r"\1·", text))


def prose(text: str) -> str:
    """A sentence as HTML: Greek letters, indices and powers set as such, code between backticks, the rest escaped."""
    parts = text.split("`")
    if len(parts) > 1 and len(parts) % 2:
        return "".join(f"<code>{html.escape(part)}</code>" if k % 2 else prose(part) for k, part in enumerate(parts))
    text = html.escape(greek(text), quote=False)
    text = INDEX.sub(lambda match: f"{match[1]}<sub>{_script(match[2])}</sub>", text)
    return POWER.sub(lambda match: f"<sup>{_script(match[1])}</sup>", STAR.sub("<sup>∗</sup>", text))


def label(text: str) -> str:
    """The same for an axis of a picture, in mathtext."""
    text = INDEX.sub(lambda match: f"{match[1]}$_{{{_script(match[2])}}}$", greek(text).replace("$", r"\$"))
    return POWER.sub(lambda match: f"$^{{{_script(match[1])}}}$", text)


def _script(group: str) -> str:
    return _bare(group).replace("-", "−")


def latex(formula: "sp.Basic", left: str = "") -> str:
    """A formula in LaTeX, after its left-hand side in plain text ("mu_c", "|g_i| <="), which need not end in a sign."""
    printed = str(_printer().doprint(formula))
    if not left:
        return printed
    return f"{_tex(left)} {'' if left.endswith(('=', '<', '>')) else '= '}{printed}"


def mathml(formula: "sp.Basic", left: str = "") -> str:
    """The same as presentation MathML, in display style."""
    from latex2mathml.converter import convert

    return str(convert(latex(formula, left), display="block"))


@cache
def _printer() -> Any:
    """Sympy's LaTeX as people write it: what is subtracted comes last, exponents on one line, words upright."""
    from sympy.printing.latex import LatexPrinter

    class Printer(LatexPrinter):  # type: ignore[misc]
        def _as_ordered_terms(self, expr: "sp.Basic", order: str | None = None) -> "list[sp.Basic]":
            terms = super()._as_ordered_terms(expr, order)
            return sorted(terms, key=lambda term: bool(term.as_coeff_Mul()[0].is_negative))

        def _print_ExpBase(self, expr: "sp.Basic", exp: str | None = None) -> str:
            self._settings["fold_short_frac"] = True  # stacked, an exponent's fractions are too small to read
            try:
                return str(super()._print_ExpBase(expr, exp))
            finally:
                self._settings["fold_short_frac"] = False

        def _print_Symbol(self, expr: "sp.Symbol", style: str = "plain") -> str:
            return _tex(expr.name)

    return Printer({"inv_trig_style": "full", "fold_short_frac": False, "mat_delim": "("})


SPECIAL = {"sum": r"\sum ", "eps": r"\epsilon ", "oo": r"\infty "}
WORDS = ("sin", "cos", "tan", "log", "exp", "max", "min", "det")
TOKEN = re.compile(
    r"(?P<index>_\([^()]*\)|_(?:Gamma|[a-z]+|[A-Za-z0-9+-]+)|(?<=[A-Za-z])\d+(?:_\d+)?)|(?P<power>\^\([^()]*\)|\^-?(?:\d+|[A-Za-z]))"
    r"|(?P<name>[A-Za-z]+)|(?P<star>\*)|(?P<sign><=|>=|\+-|->)|(?P<root>√)|(?P<other>.)",
    re.DOTALL,
)


def _tex(text: str) -> str:
    """Plain-text mathematics, such as the name of a symbol, in LaTeX."""
    parts = []
    text = re.sub(r" ?([-+=<>/]+) ?", r"\1", re.sub(r"(?<=[\w)*])\.(?=[A-Za-z])", "·", text))
    for match in TOKEN.finditer(text):
        kind, found = match.lastgroup, match[0]
        if kind == "index":
            inside = found.replace("_", "")
            parts.append(f"_{{{_tex(_bare(inside))}}}")
        elif kind == "power":
            parts.append(f"^{{{_tex(_bare(found[1:]))}}}")
        elif kind == "name":
            parts.append(_name(found))
        elif kind == "star":
            parts.append("^{*}")
        elif kind == "sign":
            parts.append({"<=": r" \le ", ">=": r" \ge ", "+-": r"\pm ", "->": r" \to "}[found])
        else:
            parts.append({"·": r"\cdot ", " ": r"\,", "%": r"\%"}.get(found, found))
    return "".join(parts)


def _name(name: str) -> str:
    """One word: a Greek letter, a barred letter, a differential, a function, letters by themselves, or a word."""
    if name in SPECIAL:
        return SPECIAL[name]
    if name in GREEK or name in WORDS:
        return rf"\{name} "
    if bar := BAR.fullmatch(name):
        return rf"\bar{{{bar[1]}}}"
    if name[0] == "d" and name[1:] in GREEK:
        return rf"d\{name[1:]} "
    return name if len(name) == 1 or (len(name) == 2 and name[0] == "d") else _word(name)


def _word(word: str) -> str:
    return rf"\mathrm{{{word}}}"


def _bare(group: str) -> str:
    """An index or a power without the brackets that held it together."""
    return group[1:-1] if group.startswith("(") else group
