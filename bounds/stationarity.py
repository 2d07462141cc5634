"""T1: rank-one states are stationary for every loss of the cosine similarities."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def _closed_form(z: "sp.Matrix", slopes: "sp.Matrix") -> "sp.Matrix":
    """Claimed gradient sum_j (Gamma_ij + Gamma_ji) z_j, Gamma = slopes the partial derivatives of l in s_ij."""
    return (slopes + slopes.T) * z


def derive() -> "Derivation":
    """Chain rule for an undefined function of the cosine matrix, then the state +-z* with signs as symbols."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    n, d = 3, 3
    z = sp.Matrix(n, d, sp.symbols(f"z1:{n + 1}_1:{d + 1}", real=True))
    loss = sp.Function("l")(*(z * z.T))  # of all n^2 cosines, none assumed equal to its mirror image
    Gamma = sp.Matrix(n, n, sp.symbols(f"Gamma1:{n + 1}_1:{n + 1}", real=True))
    slopes = sp.Matrix(n, n, lambda i, j: loss.fdiff(n * i + j + 1))
    claimed = _closed_form(z, slopes)
    zeros = {f"gradient of embedding {i + 1}, axis {k + 1}": sp.expand(loss.diff(z[i, k]) - claimed[i, k])
             for i in range(n) for k in range(d)}  # fmt: skip

    signs = sp.symbols(f"sigma1:{n + 1}", real=True)
    star = sp.Matrix(1, d, sp.symbols(f"x1:{d + 1}", real=True))
    w = sp.Matrix(1, d, sp.symbols(f"w1:{d + 1}", real=True))
    line = sp.Matrix(n, d, lambda i, k: signs[i] * star[k])
    g = _closed_form(line, Gamma)
    relations = [(star[d - 1], star.dot(star) - 1)] + [(sign, sign**2 - 1) for sign in signs]
    for i in range(n):
        rest = w.dot(g[i, :] - line[i, :].dot(g[i, :]) * line[i, :])
        for symbol, relation in relations:  # |z*| = 1, sigma^2 = 1
            rest = sp.rem(rest, relation, symbol)
        zeros[f"tangent gradient of embedding {i + 1} at +-z*"] = rest
    point = g.subs(dict.fromkeys(signs, 1))
    radial = sum((Gamma[0, j] + Gamma[j, 0]) * signs[j] for j in range(n))
    zeros["the gradient is a multiple of z*"] = w.dot(g[0, :]) - radial * w.dot(star)
    return Derivation(
        theorem="T1",
        statement="For every differentiable l of the cosines the tangent gradient vanishes at z_i = +-z*.",
        steps=(
            Step("l is an undefined function of all cosines s_ij = z_i.z_j. By the chain rule, Gamma_ij = dl/ds_ij,"
                 " embedding i has gradient sum_j (Gamma_ij + Gamma_ji) z_j; n = d = 3, first row:",
                 _closed_form(z, Gamma)[0, :], "g_1"),
            Step("At the line z_j = sigma_j z*, sigma_j^2 = 1, it is a multiple of z*, by", radial, "z*.g_1"),
            Step("at the point, all sigma_j = 1, by the sum of the Gammas: first row", point[0, :], "g_1"),
            Step("Its tangent part g_i - (z_i.g_i) z_i vanishes since sigma_i^2 = 1 and |z*| = 1, whatever the Gammas;"
                 " a fixed direction outside the cosines (a prototype) would break this"),
        ),
        zeros=zeros,
        formulas={"radial gradient": radial},
    )  # fmt: skip
