"""T20: the other two distances of the prototype term. A cone holds every sample exactly on its prototype."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.critical_weight import sign_change
from clopsim.bounds.setting import check_temperature, positive_number, whole_number

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation

UNIT = 1e-9
"""Largest error of a prototype's length: float64 rows normalised by any library."""


def euclidean_critical_weight(
    *, classes: int, per_class: int, temperature: float, prototype_cosine: float = 0.0
) -> float:
    """Weight above which "all samples exactly on their prototypes" is a strict local minimum, Euclidean distance.

        lambda_E = (2 P/tau) sqrt((K-1)(1 - rho)(1 + (K-1) rho)),   P = m x/(m - 1 + (K-1) m x)             (tight)
        x = e^(-(1 - rho)/tau);   orthonormal, rho = 0: (2 P/tau) sqrt(K-1);   a simplex: 0

    |z - c| has a cone at c, which pulls with the full weight however near z is; the cosine distance pulls with the sine
    of the angle and needs an infinite weight for the prototype itself. Local only: from far away it takes more.

    Valid for: the merged loss, sum reduction, symmetric keys, all samples labelled, K balanced classes, prototypes with
    the common cosine rho. The weight is per labelled sample, on |z - c|; the authors' code halves the distance: give
    it 2 lambda_E. Detached keys need half of it. Source: T20 (ours).
    classes: K >= 2; per_class: m >= 1; temperature: tau; prototype_cosine: rho, -1/(K-1) <= rho < 1.
    Errors: ValueError outside these ranges.
    """
    K, m, tau, rho = classes, per_class, temperature, prototype_cosine
    _check(K, m, tau)
    _check_cosine(rho, K)
    x = math.exp(-(1 - rho) / tau)
    P = 1 / (K - 1) if m == 1 else m * x / (m - 1 + (K - 1) * m * x)
    return 2 * P / tau * math.sqrt(max(0.0, (K - 1) * (1 - rho) * (1 + (K - 1) * rho)))


def manhattan_critical_weight(prototypes: NDArray[np.float64], *, per_class: int, temperature: float) -> float:
    """Weight above which "all samples exactly on their prototypes" is a strict local minimum, Manhattan distance.

        lambda_M = max_k min_a |F_k + a c_k|_inf                                                            (tight)

    with F_k = (1/tau) sum_l m x_kl (1/D_k + 1/D_l) (c_l - (c_l.c_k) c_k) the contrastive loss's tangent gradient there,
    x_kl = e^(-(1 - c_k.c_l)/tau), D_k = m - 1 + m sum_l x_kl.
    Between max_k |F_k|/sqrt(d) and max_k |F_k|, so at most lambda_E for a common cosine; it changes when the prototypes
    are turned: 2 P/tau along the axes, where lambda_E is sqrt(K-1) times as much.

    Valid for: as euclidean_critical_weight, but any K different unit prototypes; the weight is on |z - c|_1.
    Source: T20 (ours).
    prototypes: (K, d) unit rows, float64; per_class: m >= 1; temperature: tau. Errors: ValueError outside the ranges.
    """
    lengths = np.linalg.norm(prototypes, axis=-1)
    if prototypes.ndim != 2 or not (prototypes.size and np.abs(lengths - 1).max() <= UNIT):
        raise ValueError(f"prototypes must be unit rows (K, d), got shape {prototypes.shape}; normalise the rows")
    _check(len(prototypes), per_class, temperature)
    force = _force(prototypes, per_class, temperature)
    return max(_smallest_ceiling(F, c) for F, c in zip(force, prototypes, strict=True))


def euclidean_rank_one_floor(weight: float, class_counts: Sequence[int]) -> float:
    """Floor of the squared norm of the tangent gradient over all rank-1 states, with the Euclidean distance.

        |grad|^2 >= lambda^2/(2 |S|) (1 - sqrt(sum_k n_k^2)/|S|)                                     (lower, tight)

    Attained with all samples at z*, z*.c_k = -n_k/sqrt(sum n^2). It holds for any subgradient where a sample sits on
    its prototype. With one labelled class the floor is 0.

    Valid for: as rank_one_gradient_floor (T6), with L + lambda mean_i |z_i - c_yi|. Source: T20 (ours).
    weight: lambda > 0; class_counts: n_k labelled samples in each class, at least one in all.
    """
    positive_number("weight", weight, remedy="without prototypes every rank-1 state is stationary (T1)")
    counts = [whole_number("class_counts", count, low=0) for count in class_counts]
    S = sum(counts)
    if S == 0:
        raise ValueError(f"class_counts must hold a labelled sample, got {list(class_counts)}; label at least one")
    return weight**2 / (2 * S) * (1 - math.hypot(*counts) / S)


def _check(K: int, m: int, tau: float) -> None:
    whole_number("classes", K, low=2)
    whole_number("per_class", m, low=1)
    check_temperature(tau)


def _check_cosine(rho: float, K: int) -> None:
    lowest = -1 / (K - 1)
    if rho >= 1 or not (rho >= lowest or math.isclose(rho, lowest)):
        raise ValueError(
            f"prototype_cosine must be in [-1/(classes - 1), 1) = [{lowest:.6g}, 1), got {rho!r}; "
            f"no {K} different vectors have it pairwise"
        )


def _force(c: NDArray[np.float64], m: int, tau: float) -> NDArray[np.float64]:
    """Gradient (K, d) of the merged sum loss where every sample of class k sits on c_k, up to a multiple of c_k."""
    cosines = c @ c.T
    one = np.eye(len(c))
    log_x = cosines / tau  # up to a constant, which the ratios do not see
    with np.errstate(divide="ignore"):
        log_D = np.logaddexp.reduce(np.log(m - one) + log_x, axis=1)  # (K,), finite where x underflows
    log_x = np.where(one, -np.inf, log_x)
    shares = np.exp(log_x - log_D[:, None]) + np.exp(log_x - log_D)
    return np.asarray(m / tau * shares @ c)


def _smallest_ceiling(F: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    """min_a |F + a c|_inf: convex in a, so the slope of its largest entry changes sign at the minimum."""

    def slope(a: float) -> float:
        entries = F + a * c
        top = int(np.abs(entries).argmax())
        return float(c[top] * np.sign(entries[top]))

    far = 2 * float(np.abs(F).max()) / float(np.abs(c).max()) + 1.0
    return float(np.abs(F + sign_change(slope, -far, far) * c).max())


def derive() -> "Derivation":
    """The slope of a cone against a force, and the pull of the Euclidean distance summed over a rank-1 state."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    K, m, tau, lam, rho, S = sp.symbols("K m tau lambda rho S", positive=True)
    angle, a = sp.symbols("alpha a", real=True)
    distance = sp.sqrt(2 - 2 * sp.cos(angle))
    x, P = sp.exp(-(1 - rho) / tau), sp.Symbol("P", positive=True)
    size = (K - 1) * (1 - rho) * (1 + (K - 1) * rho)
    # |sum_l (c_l - rho c_k)|^2: K - 1 squares 1 - rho^2 and (K - 1)(K - 2) products rho - rho^2
    squared = (K - 1) * (1 - rho**2) + (K - 1) * (K - 2) * (rho - rho**2)
    weight = 2 * P / tau * sp.sqrt(size)
    share = m * x / (m - 1 + (K - 1) * m * x)
    # the loss of one sample that turns by angle from its prototype, towards all other classes alike (cosine g)
    g = sp.symbols("g", real=True)
    A, B = sp.exp(1 / tau), sp.exp(rho / tau)
    seen = sp.exp((rho * sp.cos(angle) + g * sp.sin(angle)) / tau)
    own = (m - 1) * sp.exp(sp.cos(angle) / tau) + (K - 1) * m * seen
    other = (m - 1) * A + ((K - 1) * m - 1) * B + seen
    turning = (
        sp.log(own)
        + (K - 1) * m * sp.log(other)
        + (m - 1) * sp.log(sp.exp(sp.cos(angle) / tau) + (m - 2) * A + (K - 1) * m * B)
    )
    t = sp.symbols("t1:4", real=True)  # z*.c_k for three classes
    n = sp.symbols("n_1:4", positive=True)
    pull = sp.cos(angle / 2) ** 2
    total = sum(count * (1 + cosine) / 2 for count, cosine in zip(n, t, strict=True))
    norm = sp.sqrt(sum(count**2 for count in n))
    floor = lam**2 / (2 * S) * (1 - norm / S)
    best = dict(zip(t, (-count / norm for count in n), strict=True))
    F = sp.Matrix(sp.symbols("F1:4", real=True))
    c = sp.Matrix(sp.symbols("c1:4", real=True))
    agreements: dict[str, Agreement] = {}
    for k, size_, temperature, cosine in ((4, 8, 0.5, 0.0), (3, 4, 0.3, 0.4), (5, 1, 1.0, -0.2), (2, 5, 1.0, -1.0)):
        at = {K: k, m: size_, tau: sp.Rational(str(temperature)), rho: sp.Rational(str(cosine))}
        derived = weight.subs(P, share).subs(at)
        given: dict[str, Any] = {"per_class": size_, "temperature": temperature}
        agreements[f"euclidean_critical_weight, K = {k}, m = {size_}, tau = {temperature}, rho = {cosine}"] = Agreement(
            partial(euclidean_critical_weight, classes=k, prototype_cosine=cosine, **given), derived
        )
        if cosine == 0:  # along the axes F has K - 1 equal entries, and a c does not touch them
            agreements[f"manhattan_critical_weight, axes, K = {k}"] = Agreement(
                partial(manhattan_critical_weight, np.eye(k, 6), **given), (2 * P / tau).subs(P, share).subs(at)
            )
    # two prototypes turned by an eighth: F = (f, f, 0) across c = (1, -1, 0)/sqrt(2); a c lowers no largest entry
    pair = np.array([[1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]) / math.sqrt(2)
    here = {K: 2, m: 3, tau: sp.Rational(1, 2), rho: sp.Integer(0)}
    agreements["manhattan_critical_weight, turned"] = Agreement(
        partial(manhattan_critical_weight, pair, per_class=3, temperature=0.5),
        (weight / sp.sqrt(2)).subs(P, share).subs(here),
    )
    # c_1.c_2 = 0.6: F_1 = f (0, 0.8) across (1, 0), whose ceiling is 0.8 f, and that of F_2 is lower
    leaning = np.array([[1.0, 0.0], [0.6, 0.8]])
    here = {K: 2, m: 3, tau: sp.Rational(1, 2), rho: sp.Rational(3, 5)}
    agreements["manhattan_critical_weight, cosine 0.6"] = Agreement(
        partial(manhattan_critical_weight, leaning, per_class=3, temperature=0.5),
        (2 * P / tau * sp.Rational(4, 5)).subs(P, share).subs(here),
    )
    # F = f (c_2 + c_3) has the entries (-1, 4, 1)/3 f across c = (2, 1, -2)/3: the best a levels the first two
    tilted = np.array([[2.0, 1.0, -2.0], [-2.0, 2.0, -1.0], [1.0, 2.0, 2.0]]) / 3
    here = {K: 3, m: 2, tau: sp.Rational(1, 2), rho: sp.Integer(0)}
    entries = [sp.Matrix(row) / 3 for row in ((2, 1, -2), (-2, 2, -1), (1, 2, 2))]
    ceilings = []
    for own in range(3):
        across = sum((entries[j] for j in range(3) if j != own), sp.zeros(3, 1))
        corners = [
            value
            for i in range(3)
            for j in range(i)
            for sign in (1, -1)
            if (gap := entries[own][i] - sign * entries[own][j]) != 0
            for value in [(sign * across[j] - across[i]) / gap]
        ]
        ceilings.append(min(max(abs(e) for e in across + value * entries[own]) for value in [sp.Integer(0), *corners]))
    agreements["manhattan_critical_weight, tilted"] = Agreement(
        partial(manhattan_critical_weight, tilted, per_class=2, temperature=0.5),
        (2 * P / tau * max(ceilings)).subs(P, share).subs(here),
    )
    for value, counts in ((0.7, (6, 4, 2)), (2.0, (5, 5, 0)), (1.3, (4, 0, 0))):
        point = {lam: sp.Rational(str(value)), S: sum(counts)} | dict(zip(n, counts, strict=True))
        agreements[f"euclidean_rank_one_floor, {value}, {counts}"] = Agreement(
            partial(euclidean_rank_one_floor, value, counts), floor.subs(point)
        )
    return Derivation(
        theorem="T20",
        statement="Under the Euclidean and the Manhattan distance every sample sits exactly on its prototype above a"
        " finite weight.",
        steps=(
            Step("At an angle alpha from its prototype a sample has the Euclidean distance", distance, "distance"),
            Step("whose slope at 0 is 1 in every direction: a cone. Move the samples from their prototypes: the loss"
                 " changes by F.delta + lambda |delta| to first order, F the contrastive gradient. So the state is a"
                 " strict local minimum for lambda > |F| and none for lambda < |F|"),
            Step("With the common cosine rho F_k is (2 P/tau) sum_l (c_l - rho c_k), P the softmax's share of one other"
                 " class", share, "P"),
            Step("and the square of the sum is", size, "|sum_l (c_l - rho c_k)|^2"),
            Step("so the critical weight is", weight, "lambda*"),
            Step("The Manhattan distance grows by |delta|_1 over tangent delta. F.delta + lambda |delta|_1 > 0 for all"
                 " of them iff some F + a c has no entry of size lambda (duality of the norms |.|_1 and |.|_inf on the"
                 " plane across c). Its length is at least that of F", sp.sqrt(F.dot(F) + a**2), "|F + a c|"),
            Step("Rank 1 and the Euclidean distance: by T1 the base loss pulls nothing, and the projected pull of one"
                 " sample is lambda/S times cos(alpha/2), squared", pull),
            Step("= (1 + z.c)/2. Over the samples, z_i = +-z*, the sum is at least (lambda/S)^2 times (three classes,"
                 " t_k = z*.c_k, all signs alike)", total, "sum"),
            Step("By Cauchy and Bessel sum n_k t_k >= -sqrt(sum n_k^2), with equality at t_k = -n_k/sqrt(sum n^2), so"
                 " the squared gradient is at least", floor, "|g|^2 >="),
            Step("On a prototype a subgradient may be 0: then z* = +-c_1 and the others keep 1/2 each, no less, since"
                 " sum n_k^2 >= n_1^2", lam**2 / (2 * S) * (1 - n[0] / S), "|g|^2 >="),
        ),
        zeros={
            "chord": distance**2 - (2 * sp.sin(angle / 2)) ** 2,
            "cone": sp.diff(2 * sp.sin(angle / 2), angle).subs(angle, 0) - 1,
            "size of the force": squared - size,
            "share": sp.exp(rho / tau) * m / ((m - 1) * sp.exp(1 / tau) + (K - 1) * m * sp.exp(rho / tau)) - share,
            "the force": sp.diff(turning, angle).subs(angle, 0) - 2 / tau * share * (K - 1) * g,
            "a simplex needs none": size.subs(rho, -1 / (K - 1)),
            "length with the normal": sp.expand((F + a * c).dot(F + a * c) - F.dot(F) - a**2 * c.dot(c)
                                                - 2 * a * F.dot(c)),
            "projected pull": pull - (1 + sp.cos(angle)) / 2,
            "on the unit sphere": sum(value**2 for value in best.values()) - 1,
            "attained": (lam**2 / S**2 * total).subs(best).subs(S, sum(n)) - floor.subs(S, sum(n)),
        },
        formulas={"euclidean_critical_weight": weight.subs(P, share), "euclidean_rank_one_floor": floor},
        agreements=agreements,
    )  # fmt: skip
