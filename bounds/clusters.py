"""T25: equal clusters on a simplex are no resting place of the merged loss at any rate."""

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clopsim.bounds.setting import Floats, Setting, whole_number, without_momentum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


class ClusterMultipliers(NamedTuple):
    """Factors of one step at M clusters on a simplex, relative to the state; None where there is no such move."""

    across: Floats | None  # points of a cluster spread out of the clusters' span; needs d >= M
    within: Floats | None  # points of a cluster spread inside the span; needs M >= 3
    common: Floats | None  # all clusters move alike, out of the span; needs d >= M


def cluster_multipliers(rate: Floats, setting: Setting, *, clusters: int) -> ClusterMultipliers:
    """Multipliers of one step at M clusters of h = n/M points each, whose places have the cosine s = -1/(M - 1).

        across: 1 + mu (p/tau) h (P_in - P_out) / r,   within: across - mu (p/tau^2) h P_out M/(M - 1) / r,
        common: 1 - mu (p/tau) M h P_out / r                                (tight, first order in the perturbation)

    p the pull, P_in = e^(1/tau)/D, P_out = e^(s/tau)/D, D = (h - 1) e^(1/tau) + (M - 1) h e^(s/tau); r = 1 for the
    tangent gradient, 1 - mu (p/tau) [(h - 1) P_in - h P_out] for the ambient one (r < 0 mirrors the state).

    So no such state holds at any rate: where r > 0 both spreads are above 1, where r < 0 common is (and for d = M - 1,
    symmetric keys, every move of the clusters that is no turn).

    Valid for: the merged loss, M >= 2 that divides n, h >= 2, d >= M - 1. Source: T25 (ours).
    rate and the setting's temperatures broadcast.
    """
    without_momentum(setting)
    M = whole_number("clusters", clusters, low=2)
    n, d = setting.samples, setting.dimension
    if setting.loss != "merged":
        raise ValueError(f"loss must be merged, got {setting.loss!r}; the clusters of the full loss are not solved")
    if n % M or n < 2 * M:
        raise ValueError(f"clusters must divide the samples, two or more a cluster, got {M} for {n}; choose another")
    if d + 2 <= M:
        raise ValueError(f"clusters must be <= dimension + 1, got {M} in dimension {d}; a simplex needs the room")
    h, tau, mu = n // M, np.asarray(setting.tau), np.asarray(rate, dtype=np.float64)
    ratio = np.exp(-M / (M - 1) / tau)  # P_out / P_in
    P_in = 1 / ((h - 1) + (M - 1) * h * ratio)
    P_out = ratio * P_in
    pull = mu * setting.pull / tau
    r = 1 - pull * ((h - 1) * P_in - h * P_out) if setting.gradient == "ambient" else np.ones_like(pull)
    with np.errstate(divide="ignore"):
        across = 1 + pull * h * (P_in - P_out) / r
        within = across - pull / tau * h * P_out * M / (M - 1) / r
        common = 1 - pull * M * h * P_out / r
    spare = d >= M
    return ClusterMultipliers(
        _plain(across) if spare else None, _plain(within) if M >= 3 else None, _plain(common) if spare else None
    )


def _plain(value: Floats) -> Floats:
    return float(value) if np.ndim(value) == 0 else value


def _closed_forms(h: "sp.Symbol", M: "sp.Expr", kappa: "sp.Symbol", R: "sp.Expr") -> "dict[str, sp.Expr]":
    """Claimed stiffnesses k and radial pull rho of the sum with symmetric keys, over 2 kappa; R = P_out/P_in."""
    P_in = 1 / ((h - 1) + (M - 1) * h * R)
    P_out = R * P_in
    return {
        "across": -h * (P_in - P_out),
        "within": -h * (P_in - P_out) + kappa * h * P_out * M / (M - 1),
        "common": M * h * P_out,
        "rho": (h - 1) * P_in - h * P_out,
    }


def derive() -> "Derivation":
    """Second derivatives along great circles, summed over pairs of points; M and h stay symbols."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, defined_pull, entry, every_setting, written_out

    h, M, kappa, mu, R, pull, tau = sp.symbols("h M kappa mu R pull tau", positive=True)
    y = sp.symbols("y", positive=True)
    claims = _closed_forms(h, M, kappa, R)
    s = -1 / (M - 1)
    P_in = 1 / ((h - 1) + (M - 1) * h * R)
    P_out = R * P_in
    # per unit length; sums over ordered pairs, s'' = 2 d_i d_j - (d_i^2 + d_j^2) s_ij
    inside = P_in * (2 * (0 - 1) - 2 * (h - 1))  # the sum of the spread is zero
    outside = 2 * (M - 1) * h * P_out * (-s)  # as anchors and as keys, the other point at rest
    frame = M / (M - 1)  # sum_l (d.v_l)^2 for a unit d in the span
    variance = kappa * (h * P_out * frame + h * P_out * frame)  # own anchors; the anchors of the other clusters
    zeros = {
        "spread across the span": (inside + outside) / 2 - claims["across"],
        "spread inside the span": (inside + outside + variance) / 2 - claims["within"],
        # clusters moved by a_k t, t across the span: h^2 P_out sum_(k != l) [2 a_k a_l - (a_k^2 + a_l^2) s]
        "clusters moved alike": h**2 * P_out * (2 * (M**2 - M) - 2 * M * (M - 1) * s) / (h * M) / 2 - claims["common"],
        "clusters moved by a zero sum: a turn": 2 * (0 - 1) - 2 * (M - 1) * s,
        "radial pull": (h - 1) * P_in + (M - 1) * h * P_out * s - claims["rho"],
        "rows of P": (h - 1) * P_in + (M - 1) * h * P_out - 1,
        "spreads go down: e^y - 1 - y, y = kappa M/(M-1)": (claims["within"] / (h * P_out))
        .subs(R, sp.exp(-y))
        .subs(kappa, y * (M - 1) / M)
        + (sp.exp(y) - 1 - y),
        "e^y - 1 - y at 0": (sp.exp(y) - 1 - y).subs(y, 0),
        "its slope": sp.diff(sp.exp(y) - 1 - y, y) - (sp.exp(y) - 1),
    }
    # an explicit check of the frame: the simplex of 3 and of 4 points
    for points in (
        sp.Matrix([[1, 0], [-sp.Rational(1, 2), sp.sqrt(3) / 2], [-sp.Rational(1, 2), -sp.sqrt(3) / 2]]),
        sp.Matrix([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / sp.sqrt(3),
    ):
        count, span = points.shape
        rest = points.T * points - sp.Rational(count, count - 1) * sp.eye(span)
        zeros[f"frame of {count} points"] = sum(entry**2 for entry in rest)
    # and of the whole: two clusters of two points on the circle, from the loss itself
    eps = sp.symbols("epsilon", real=True)
    q = sp.exp(-2 * kappa)

    def second(angles: "list[sp.Expr]") -> sp.Expr:
        total = sum(
            sp.log(sum(sp.exp(kappa * sp.cos(angles[i] - angles[j])) for j in range(4) if j != i)) for i in range(4)
        )
        length = sum(sp.diff(angle, eps) ** 2 for angle in angles)
        return total.diff(eps, 2).subs(eps, 0) / length / (2 * kappa)

    pair = {h: 2, M: 2, R: q}
    zeros["two pairs: spread"] = second([eps, -eps, sp.pi, sp.pi]) - claims["across"].subs(pair)
    zeros["two pairs: moved alike"] = second([eps, eps, sp.pi - eps, sp.pi - eps]) - claims["common"].subs(pair)
    x = mu * pull / tau  # replaces 2 kappa mu
    place = {kappa: 1 / tau, R: sp.exp(-M / (M - 1) / tau)}
    r = 1 - x * claims["rho"]
    formulas = {
        f"{name}, {gradient}": (1 - x * claims[name] / stretch).subs(place)
        for gradient, stretch in (("tangent", 1), ("ambient", r))
        for name in ClusterMultipliers._fields
    }
    agreements = {}
    for setting in every_setting(0.3, 8, 12):
        if setting.loss == "full":
            continue
        for count, name in product((2, 3, 4), ClusterMultipliers._fields):
            here = {h: 12 // count, M: count, tau: sp.Float("0.3", 30), pull: defined_pull(setting)}
            value = formulas[f"{name}, {setting.gradient}"].subs(here | {mu: sp.Float("0.7", 30)})
            code = partial(lambda setting, name, M: getattr(cluster_multipliers(0.7, setting, clusters=M), name))
            absent = name == "within" and count == 2
            agreements[f"{name}, {count} clusters, {written_out(setting)}"] = Agreement(
                partial(code, setting, name, count), None if absent else value
            )
    for name in ("across", "common"):
        code = partial(lambda name: getattr(cluster_multipliers(0.7, Setting(0.3, 2, 12), clusters=3), name), name)
        agreements[f"{name}, no dimension to spare"] = Agreement(code, None)
    there = {h: 4, M: 3, tau: sp.Float("0.3", 30), pull: 2, mu: sp.Float("0.7", 30)}
    agreements["across, the second of several temperatures"] = Agreement(
        entry(lambda: cluster_multipliers(0.7, Setting((0.2, 0.3), 8, 12), clusters=3).across, 1),
        formulas["across, ambient"].subs(there),
    )
    return Derivation(
        theorem="T25",
        statement="M >= 2 equal clusters on a simplex are unstable at every rate, with either gradient: spreads inside"
        " clusters grow where the step descends, moves of the clusters where it climbs.",
        steps=(
            Step("Places v_k with v_k.v_l = -1/(M-1), h points at each. Along great circles s_ij'' = 2 d_i.d_j -"
                 " (|d_i|^2 + |d_j|^2) s_ij. A spread of zero sum inside a cluster, across the clusters' span, has the"
                 " stiffness over 2 kappa (R = P_out/P_in)", claims["across"], "k/(2 kappa)"),
            Step("Inside the span the variance of s' adds, as sum_l v_l v_l^T = M/(M-1) on it,",
                 kappa * h * P_out * M / (M - 1), "Delta k/(2 kappa)"),
            Step("Both are negative: the second is -h P_out times, with y = kappa M/(M-1),", sp.exp(y) - 1 - y),
            Step("Moves of whole clusters have 2 kappa h^2 P_out |sum of the moves|^2 plus variances: not negative, and"
                 " 0 for turns only, since the variance of an anchor counts its own cluster, where s' = 0. All alike,"
                 " across the span:", claims["common"], "k/(2 kappa)"),
            Step("The step multiplies a move by 1 - mu k/r; r = 1 (tangent) or (ambient) 1 - mu rho, rho over 2 kappa",
                 claims["rho"], "rho/(2 kappa)"),
            Step("r > 0: k < 0 grows. r < 0: k > 0 grows. So no rate holds the state"),
        ),
        zeros=zeros,
        formulas=formulas,
        agreements=agreements,
    )  # fmt: skip
