"""T6: with prototypes no rank-1 state is stationary: a floor under its gradient."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from clopsim.bounds.setting import positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def rank_one_gradient_floor(weight: float, class_counts: Sequence[int]) -> float:
    """Floor of the squared norm of the tangent gradient of L_CLOP over all rank-1 states z_i = +-z*.

        |grad|^2 >= lambda^2 (1 - max_k n_k/|S|) / |S|             (lower, tight: z* = +-c_k of the largest class)

    So with at least two labelled classes no rank-1 state is stationary; with one the floor is 0, as it must be: all on
    that prototype is stationary.

    Valid for: every base loss of the cosine similarities (T1: its tangent gradient vanishes at rank 1), orthonormal
    prototypes, the cosine distance averaged over the labelled samples: L_CLOP = L + lambda mean_i (1 - z_i.c_yi).
    For a weight per labelled sample next to the sum loss, as in T7 to T9, give |S| times it.
    Source: T6 (ours; the statement without the number is arXiv:2403.18699v2's).

    weight: lambda > 0; class_counts: n_k labelled samples in each class, at least one in all.
    """
    positive_number("weight", weight, remedy="without prototypes every rank-1 state is stationary (T1)")
    counts = [whole_number("class_counts", count, low=0) for count in class_counts]
    S = sum(counts)
    if S == 0:
        raise ValueError(f"class_counts must hold a labelled sample, got {list(class_counts)}; label at least one")
    return weight**2 * (1 - max(counts) / S) / S


def derive() -> "Derivation":
    """The prototype pull, projected at a rank-1 state, summed over the labelled samples."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    lam, S, N, K = sp.symbols("lambda S N K", positive=True)  # N = n_k of the largest class
    x = sp.symbols("x", real=True)  # z* . c_yi
    k = sp.symbols("k", integer=True)
    n, X = sp.Function("n"), sp.Function("X")  # n(k) samples in class k, X(k) = (z* . c_k)^2

    def total(term: sp.Expr) -> sp.Expr:
        return sp.Sum(term, (k, 1, K))

    c_c, z_z, c_z = sp.Integer(1), sp.Integer(1), x  # unit vectors
    pull = c_c - 2 * c_z * c_z + c_z**2 * z_z  # |c - (c.z) z|^2, the sign of z_i = +-z* drops out
    norm = lam**2 / S**2 * (S - total(n(k) * X(k)))
    floor = lam**2 * (1 - N / S) / S
    slack = lam**2 / S**2 * (N * (1 - total(X(k))) + total((N - n(k)) * X(k)))
    split = norm - floor - slack
    split = split.expand().replace(lambda e: isinstance(e, sp.Sum), _linear)
    agreements = {}
    for weight, counts in ((0.7, (6, 3, 1)), (2.0, (5, 5)), (1.3, (4,)), (0.5, (0, 2, 7))):
        here = {lam: sp.Rational(str(weight)), S: sum(counts), N: max(counts)}
        agreements[f"rank_one_gradient_floor, {weight}, {counts}"] = Agreement(
            partial(rank_one_gradient_floor, weight, counts), floor.subs(here)
        )
    return Derivation(
        theorem="T6",
        statement="At a rank-1 state the squared tangent gradient of L_CLOP is at least lambda^2 (1 - max n_k/S)/S.",
        steps=(
            Step("By T1 the base loss has no tangent gradient at z_i = +-z*; what is left at a labelled sample is"
                 " -(lambda/S) (c - (c.z) z), whose square is (lambda/S)^2 times", pull, "|c - (c.z) z|^2"),
            Step("Summed over the labelled samples, X(k) = (z*.c_k)^2 and sum_k n(k) = S:", norm, "|g|^2"),
            Step("With N the largest n(k) this is the floor", floor, "floor"),
            Step("plus a rest whose terms are all >= 0, since the c_k are orthonormal (Bessel: sum_k X(k) <= 1) and"
                 " n(k) <= N", slack, "rest"),
            Step("The rest is 0 for X = 1 at a largest class, so the floor is attained at z* = +-c_k", sp.Eq(X(k), 1)),
        ),
        zeros={
            "projected pull": pull - (1 - x**2),
            "norm = floor + rest": split,
            "equality at the largest class": (S - N) * lam**2 / S**2 - floor,
        },
        formulas={"rank_one_gradient_floor": floor},
        agreements=agreements,
    )  # fmt: skip


def _linear(total: "sp.Sum") -> "sp.Expr":
    """A sum of products, expanded into sums with the constants in front."""
    import sympy as sp

    (k, low, high) = total.limits[0]
    parts = []
    for term in sp.Add.make_args(sp.expand(total.function)):
        constant, varying = term.as_independent(k)
        parts.append(constant * sp.Sum(varying, (k, low, high)))
    return sp.Add(*parts)
