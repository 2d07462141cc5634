"""T2: the curvature of the loss at complete collapse: a saddle of InfoNCE, a maximum of the merged loss."""

from functools import partial
from typing import TYPE_CHECKING

from clopsim.bounds.setting import Floats, Setting

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def together_curvature(setting: Setting) -> Floats:
    """Second derivative of the loss at complete collapse, per unit length, along zero-mean perturbations.

        -2 n / (tau (n - 1))                    (tight; views moving together in the full loss), over n for the mean

    Negative: there is a way down. The value of the loss does not depend on the keys, nor does this.

    Valid for: merged, n >= 2; full, n >= 4 (one sample alone cannot spread). Source: T2 (ours).
    """
    n = setting.samples
    if setting.loss == "full" and n < 4:
        raise ValueError(
            f"samples must be >= 4 for the full loss, got {n}; one sample alone has no zero-mean direction"
        )
    return -2 * n / (setting.tau * (n - 1)) / (n if setting.reduction == "mean" else 1)


def apart_curvature(setting: Setting) -> Floats:
    """Second derivative of the full loss at complete collapse, per unit length, as the views of samples come apart.

        +2 (n - 2) / (tau (n - 1))                                                (tight), over n for the mean

    Valid for: the full loss. Source: T2 (ours).
    """
    n = setting.samples
    if setting.loss != "full":
        raise ValueError(f"loss must be full, got {setting.loss!r}; the merged loss has no views")
    return 2 * (n - 2) / (setting.tau * (n - 1)) / (n if setting.reduction == "mean" else 1)


def _closed_forms(n: "sp.Symbol", tau: "sp.Symbol") -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    return {"together": -2 * n / (tau * (n - 1)), "apart": 2 * (n - 2) / (tau * (n - 1))}


def derive() -> "Derivation":
    """Two or three groups of points on a great circle keep n a symbol; a second derivative does the rest."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, every_setting, written_out

    n, tau = sp.symbols("n tau", positive=True)
    eps, t = sp.symbols("epsilon t", real=True)
    claims = _closed_forms(n, tau)

    def e(angle: sp.Expr) -> sp.Expr:
        return sp.exp(sp.cos(angle) / tau)

    merged = sp.log((n - 1) * e(eps * n / (n - 1))) + (n - 1) * sp.log(e(eps * n / (n - 1)) + (n - 2) * e(0))
    gap = eps * n / (n - 2)  # one sample at eps, the other n - 2 embeddings at -2 eps/(n-2)
    together = 2 * (sp.log(e(0) + (n - 2) * e(gap)) - 1 / tau) + (n - 2) * (
        sp.log(2 * e(gap) + (n - 3) * e(0)) - 1 / tau
    )
    apart = 2 * (sp.log(e(2 * eps) + (n - 2) * e(eps)) - sp.cos(2 * eps) / tau) + (n - 2) * (
        sp.log(2 * e(eps) + (n - 3) * e(0)) - 1 / tau
    )

    def curvature(loss: sp.Expr, squared_length: sp.Expr) -> sp.Expr:
        return sp.diff(loss, eps, 2).subs(eps, 0) / squared_length

    # the quadratic form, for four embeddings and every tangent direction on the circle
    a = sp.symbols("a1:5", real=True)
    full = sum(
        -sp.cos(t * (a[i] - a[(i + 2) % 4])) / tau + sp.log(sum(e(t * (a[i] - a[j])) for j in range(4) if j != i))
        for i in range(4)
    )
    attraction = sum((a[i] - a[(i + 2) % 4]) ** 2 for i in range(4)) / (2 * tau)
    repulsion = sum((a[i] - a[j]) ** 2 for i in range(4) for j in range(4)) / (2 * tau * 3)
    agreements = {}
    for setting in every_setting(0.3, 8, 12):
        here = {n: 12, tau: sp.Float("0.3", 30)}
        share = sp.Rational(1, 12) if setting.reduction == "mean" else sp.Integer(1)
        numbers = {"together_curvature": (partial(together_curvature, setting), claims["together"])}
        if setting.loss == "full":
            numbers["apart_curvature"] = partial(apart_curvature, setting), claims["apart"]
        for name, (code, derived) in numbers.items():
            agreements[f"{name}, {written_out(setting)}"] = Agreement(code, derived.subs(here) * share)
    return Derivation(
        theorem="T2",
        statement="Complete collapse is a strict saddle of InfoNCE and, up to rotation, a maximum of the merged loss.",
        steps=(
            Step("To second order the loss changes by attraction less repulsion; here for n = 4 and tangent angles a_i",
                 attraction - repulsion, "Delta L"),
            Step("Merged, for every n: one point at angle epsilon, the others at -epsilon/(n-1); the loss is",
                 merged, "L"),
            Step("Its second derivative over the squared length epsilon^2 n/(n-1) is", claims["together"], "curvature"),
            Step("Full, views together: one sample at epsilon, the others at -2 epsilon/(n-2); the loss is",
                 together, "L"),
            Step("over the squared length 2 epsilon^2 n/(n-2) the same:", claims["together"], "curvature"),
            Step("Full, views apart: the views of one sample at +-epsilon, all others at 0; the loss is", apart, "L"),
            Step("over the squared length 2 epsilon^2:", claims["apart"], "curvature"),
            Step("The loss is symmetric under permutations of the samples and rotations about z*, whose action on each"
                 " of these spaces (zero mean together, apart) is irreducible: one direction gives all of them"),
        ),
        zeros={
            "quadratic form": sp.diff(full, t, 2).subs(t, 0) / 2 - (attraction - repulsion),
            "merged": curvature(merged, n / (n - 1)) - claims["together"],
            "together": curvature(together, 2 * n / (n - 2)) - claims["together"],
            "apart": curvature(apart, sp.Integer(2)) - claims["apart"],
        },
        formulas={"together_curvature": claims["together"], "apart_curvature": claims["apart"]},
        agreements=agreements,
    )  # fmt: skip
