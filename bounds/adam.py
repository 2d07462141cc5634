"""T14 for Adam: the rate up to which its step is stable while its preconditioner stands still."""

from typing import TYPE_CHECKING

from clopsim.bounds.setting import momentum_below_one, number_from_zero, positive_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def adam_rate(curvature: float, *, momentum: float = 0.9, weight_decay: float = 0.0) -> float:
    """Learning rate below which Adam, its second moments frozen, goes to 0 on a quadratic, and above which it leaves.

        mu = 2 (1 + beta) / ((1 - beta) h + (1 + beta) w)             (tight)

    for m <- beta m + (1 - beta) h x, x <- (1 - mu w) x - mu m, as torch.optim.AdamW (w = 0: Adam). Without decay, at
    beta = 0.9, 38/h: what training at full batch was seen to hover at.

    Valid for: h + w > 0, 0 <= beta < 1; the largest curvature of several decides. Moving second moments, and
    minibatches, are outside.
    Source: w = 0 arXiv:2207.14484, the edge (2 + 2 beta)/((1 - beta) mu) of the preconditioned Hessian; w > 0 ours.

    curvature: h, of P^-1/2 H P^-1/2 with P = sqrt(second moments, bias corrected) + epsilon; momentum: beta_1;
    weight_decay: w, decoupled. Decay that is added to the gradient is a part of H.
    """
    momentum_below_one(momentum)
    number_from_zero("weight_decay", weight_decay, remedy="0 leaves it out")
    positive_number(
        "curvature + weight_decay",
        curvature + weight_decay,
        remedy="along a flat or falling direction no rate is too large or small",
    )
    return 2 * (1 + momentum) / ((1 - momentum) * curvature + (1 + momentum) * weight_decay)


def _closed_forms(h: "sp.Expr", beta: "sp.Expr", w: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    return {"edge": 2 * (1 + beta) / ((1 - beta) * h + (1 + beta) * w)}


def derive() -> "Derivation":
    """Position and first moment make a 2x2 map, whose eigenvalues leave the unit circle at -1."""
    from functools import partial

    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    mu, beta, h = sp.symbols("mu beta h", positive=True)
    w = sp.Symbol("w", nonnegative=True)
    x, m, z = sp.symbols("x m z")
    edge = _closed_forms(h, beta, w)["edge"]
    moment = beta * m + (1 - beta) * h * x
    step = sp.Matrix([(1 - mu * w) * x - mu * moment, moment]).jacobian([x, m])
    polynomial = z**2 - step.trace() * z + step.det()
    bound = (1 + beta) / beta - edge * w
    room = (1 - beta**2) * (h + w) / (beta * ((1 - beta) * h + (1 + beta) * w))
    agreements = {}
    for b in (0.0, 0.5, 0.9):
        for decay in (0.0, 0.3):
            for curvature in (5.0, -0.1) if decay else (5.0,):
                exact = [sp.Float(str(value), 30) for value in (curvature, b, decay)]
                code = partial(adam_rate, curvature, momentum=b, weight_decay=decay)
                agreements[f"adam_rate, h = {curvature}, beta = {b}, w = {decay}"] = Agreement(
                    code, _closed_forms(*exact)["edge"]
                )
    return Derivation(
        theorem="T14",
        statement="While its second moments stand still, Adam is stable up to 2(1 + beta)/((1 - beta) h) in units of"
        " the preconditioned curvature h, and AdamW up to 2(1 + beta)/((1 - beta) h + (1 + beta) w).",
        steps=(
            Step("In the coordinates P^1/2 theta the step has no preconditioner, and the curvature of P^-1/2 H P^-1/2;"
                 " a number, the decay, commutes with P"),
            Step("m <- beta m + (1 - beta) h x, x <- (1 - mu w) x - mu m multiplies (x, m) by", step, "M"),
            Step("of determinant", step.det(), "det M"),
            Step("which is below 1, and above -1 as long as mu w < (1 + beta)/beta: up to the edge, where the"
                 " room left is positive", room, "room"),
            Step("The characteristic polynomial is at 1", mu * (1 - beta) * (h + w), "chi(1)"),
            Step("which is positive, so the eigenvalues leave the unit circle at -1 only: at", edge, "mu"),
            Step("Without decay and at beta = 9/10", edge.subs({w: 0, beta: sp.Rational(9, 10)}), "mu"),
        ),
        zeros={
            "determinant": step.det() - beta * (1 - mu * w),
            "polynomial at 1": polynomial.subs(z, 1) - mu * (1 - beta) * (h + w),
            "edge": polynomial.subs(z, -1).subs(mu, edge),
            "the determinant stays above -1": bound - room,
            "38": edge.subs({w: 0, beta: sp.Rational(9, 10)}) * h - 38,
            "no momentum": edge.subs(beta, 0) - 2 / (h + w),
        },
        formulas={"adam_rate": edge},
        agreements=agreements,
    )  # fmt: skip
