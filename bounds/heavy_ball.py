"""The largest stable learning rate of gradient descent with momentum on a quadratic."""

from typing import TYPE_CHECKING

from bounds.setting import momentum_below_one, positive_number

if TYPE_CHECKING:
    from bounds.derivation import Derivation


def heavy_ball_rate(curvature: float, *, momentum: float = 0.0) -> float:
    """Learning rate below which x_{t+1} = x_t - mu h x_t + beta (x_t - x_{t-1}) goes to 0, and above which it leaves.

        mu = 2 (1 + beta) / h                             (tight)

    The form of torch.optim.SGD without dampening: v <- beta v + g, x <- x - mu v. Without momentum 2/h.

    Valid for: h > 0, 0 <= beta < 1; the largest curvature of several decides. Minibatches are not a quadratic.
    Source: Polyak's heavy ball, textbook; derived below.

    curvature: h, the sharpness; momentum: beta.
    """
    positive_number("curvature", curvature, remedy="along a flat or falling direction no rate is too large or small")
    momentum_below_one(momentum)
    return 2 * (1 + momentum) / curvature


def derive() -> "Derivation":
    """The recursion's two roots: their product is beta, and the first to leave the unit circle leaves it at -1."""
    import sympy as sp

    from bounds.derivation import Derivation, Step

    mu, beta, h, z = sp.symbols("mu beta h z", positive=True)
    polynomial = z**2 - (1 + beta - mu * h) * z + beta
    at_1, at_minus_1 = polynomial.subs(z, 1), sp.expand(polynomial.subs(z, -1))
    rate = sp.solve(at_minus_1, mu)[0]
    other = sp.simplify(polynomial.subs(mu, rate) / (z + 1))  # the root beside -1 at that rate
    return Derivation(
        theorem="heavy ball",
        statement="Gradient descent with momentum on a quadratic of curvature h is stable up to rate 2(1 + beta)/h.",
        steps=(
            Step("x_t = z^t solves the recursion where this is zero", polynomial),
            Step("The product of the roots is beta < 1: a complex pair lies inside the unit circle, and a real one can"
                 " leave it at 1 or -1 only. At z = 1 the polynomial is positive at every rate", at_1),
            Step("At z = -1 it is this, which is positive for small rates and falls", at_minus_1),
            Step("It is zero at the rate", rate),
            Step("where the other factor is, with its root inside", other),
        ),
        zeros={
            "a root at -1": polynomial.subs({mu: 2 * (1 + beta) / h, z: -1}),
            "the other root": other - (z + beta),
        },
        formulas={"heavy_ball_rate": rate},
    )  # fmt: skip
