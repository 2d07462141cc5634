"""T27a: unequal pulls: every embedding steps at its own rate, and only the state as a whole has a critical rate."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.effective_rate import AttractingRates

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

FLAT = 1e-7
"""Curvatures this small, in units of the largest, are 0: turns of the whole state, and rounding."""


def unequal_attracting_rates(hessian: NDArray[np.float64], *, pulls: NDArray[np.float64]) -> AttractingRates | None:
    """The learning rates at which a stationary state attracts under ambient steps, whatever the pulls; None: at none.

        minimum, H >= 0: below 2/max(H + 2A) if that is positive, else at every rate
        maximum, H <= 0: above 2/min(H + 2A) if that is positive, else at none                             (tight)

    with H the Riemannian Hessian, A the diagonal matrix of the pulls, max and min the ends of the spectrum. A saddle
    attracts at no rate. With one pull a these are 2/(c + 2a) of T27. Directions in which H is 0, such as turns of the
    whole state, are left out.

    Valid for: any loss that is differentiable in the cosines, a stationary state; rates at which no embedding, or every
    one, is turned over, mu < 1/max(A) or mu > 1/min(A) > 0: between them the step leaves the state for another one.
    Source: T27a (ours).
    hessian: (k, k), symmetric, in tangent coordinates; pulls: (k,), z_i . g_i of the embedding of each coordinate.
    """
    H, a = np.asarray(hessian, dtype=float), np.asarray(pulls, dtype=float)
    if H.ndim != 2 or H.shape[0] != H.shape[1] or a.shape != H.shape[:1] or not len(a):
        raise ValueError(
            f"pulls must be (k,) beside a hessian (k, k), got {a.shape} beside {H.shape}; repeat the pull of an "
            "embedding for each of its d - 1 coordinates"
        )
    if not (np.isfinite(H).all() and np.isfinite(a).all()):
        raise ValueError("hessian and pulls must be finite, got others; they are numbers of the loss at one state")
    c = np.linalg.eigvalsh(H)
    flat = FLAT * np.abs(c).max()
    if flat == 0:
        raise ValueError("hessian must have a curvature other than 0, got none; without one no rate is critical")
    turning = np.linalg.eigvalsh(H + 2 * np.diag(a))
    if c[0] >= -flat:
        return AttractingRates(0.0, 2 / float(turning[-1]) if turning[-1] > 0 else np.inf)
    if c[-1] <= flat and turning[0] > 0:
        return AttractingRates(2 / float(turning[0]), np.inf)
    return None


def _closed_forms(H: "sp.Matrix", A: "sp.Matrix", mu: "sp.Expr") -> "dict[str, sp.Matrix]":
    """What is claimed, by name."""
    import sympy as sp

    one = sp.eye(H.rows)
    return {"step": one - mu * (one - mu * A).inv() * H, "turning": H + 2 * A}


def derive() -> "Derivation":
    """Two embeddings on great circles of their own; the pulls and the slopes of the gradient are all that counts."""
    from functools import partial

    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    mu = sp.symbols("mu", positive=True)
    a1, a2, h11, h12, h22, x, y, eps = sp.symbols("a_1 a_2 h_11 h_12 h_22 x y epsilon", real=True)
    H, A = sp.Matrix([[h11, h12], [h12, h22]]), sp.diag(a1, a2)
    one, D = sp.eye(2), sp.eye(2) - mu * A
    claims = _closed_forms(H, A, mu)
    step, turning = claims["step"], claims["turning"]

    def stepped(pull: sp.Expr, push: sp.Expr, own: sp.Expr) -> sp.Expr:
        """Slope, in the size of a deviation, of the angle of an embedding after a step."""
        return (own * eps + sp.atan(-mu * push * eps / (1 - mu * pull))).diff(eps).subs(eps, 0)

    v = sp.Matrix([x, y])
    pushes = H * v
    after = sp.Matrix([stepped(a1, pushes[0], x), stepped(a2, pushes[1], y)])
    even = {a2: a1}
    zeros = {
        "a step, first embedding": (after - step * v)[0],
        "a step, second embedding": (after - step * v)[1],
        "factor -1": (step + one).det() * D.det() - (2 * one - mu * turning).det(),
        "factor 1": (step - one).det() * D.det() - mu**2 * H.det(),
        "symmetric beside D": (D * step - (D * step).T)[0, 1],
        "one pull: T27": (turning - (H + 2 * a1 * one)).subs(even)[0, 0] + turning.subs(even)[1, 1] - h22 - 2 * a1,
        "the pole is beyond": turning[0, 0] - (2 * a1 + h11),
    }

    def end(hessian: list[list[int]], pulls: list[int], below: bool) -> float | None:
        """The lower end of the range, or 1 over the upper one, which may be infinite."""
        found = unequal_attracting_rates(np.array(hessian, dtype=float), pulls=np.array(pulls, dtype=float))
        return None if found is None else 1 / found.below if below else found.above

    numbers = {
        "minimum": ([[5, 6], [6, 8]], [-1, -7]),  # H + 2A has the eigenvalues 6 and -9
        "minimum, outward pulls": ([[6, 2], [2, 8]], [-4, -7]),  # both below 0
        "maximum": ([[-10, 4], [4, -8]], [8, 10]),  # 4 and 14
        "maximum, weak pulls": ([[-7, 2], [2, -12]], [4, 5]),  # 2 and -3
        "saddle": ([[5, 6], [6, 2]], [8, 10]),
    }
    agreements = {}
    for name, (hessian, own) in numbers.items():
        here = dict(zip((h11, h12, h22, a1, a2), (*hessian[0], hessian[1][1], *own), strict=True))
        low, high = sorted(turning.subs(here).eigenvals())
        above, below = {
            "minimum": (sp.Integer(0), high / 2),
            "minimum, outward pulls": (sp.Integer(0), sp.Integer(0)),
            "maximum": (2 / low, sp.Integer(0)),
        }.get(name, (None, None))
        agreements[f"{name}: above"] = Agreement(partial(end, hessian, own, False), above)
        agreements[f"{name}: 1/below"] = Agreement(partial(end, hessian, own, True), below)
    return Derivation(
        theorem="T27a",
        statement="With unequal pulls an ambient step is I - mu (I - mu A)^-1 H: a minimum attracts below"
        " 2/max(H + 2A), a maximum above 2/min(H + 2A), a saddle at no rate.",
        steps=(
            Step("Beside the state z_i - mu g_i = (1 - mu a_i) z_i - mu t_i, so every embedding takes a tangent step at"
                 " a rate of its own, mu/(1 - mu a_i). With D = I - mu A the step is I - mu D^-1 H; here for two"
                 " embeddings on circles", step, "step"),
            Step("D times it is symmetric: its factors are real where D has one sign, and by Sylvester's law as many of"
                 " them are above 1 as H/D has negative levels. So where D > 0 nothing but a minimum attracts, where"
                 " D < 0 nothing but a maximum"),
            Step("The factor -1 occurs where 2 I - mu (H + 2A) is singular, the factor 1 where H is: det(step + I)"
                 " det D is", (step + one).det() * D.det(), "det(step + I) det D"),
            Step("Minimum: from mu = 0 on all factors lie in (-1, 1) up to mu = 2/max(H + 2A). That is before the first"
                 " pole, as H + 2A is at least H_ii + 2 a_i > 2 a_i along any coordinate", turning[0, 0]),
            Step("Maximum: as mu grows without end the step tends to I + A^-1 H, whose factors are below 1, and above"
                 " -1 iff H + 2A > 0 (all a_i > 0 then). Coming down from there the first factor -1 is met at mu ="
                 " 2/min(H + 2A), which is beyond the last pole for the same reason"),
            Step("With one pull the ends of H + 2A are c + 2a: T27"),
        ),
        zeros=zeros,
        formulas={"turning, first entry": turning[0, 0], "step, first entry": step[0, 0]},
        agreements=agreements,
    )  # fmt: skip
