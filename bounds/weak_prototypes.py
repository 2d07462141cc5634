"""T16: prototypes of a small weight do not stop collapse at large rates: the run stays beside a point, or a line."""

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from clopsim.bounds.setting import Setting, positive_number, whole_number, without_momentum

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation

SMALL = 0.5
"""Displacement up to which the formulas answer: they are the first order in it, wrong by about its square."""


class Displacement(NamedTuple):
    """How far weak prototypes hold a labelled embedding off the line, per unit of what pulls it."""

    own: float  # alpha: along (c_y - mean of the prototypes), perpendicular to the line
    common: float  # alpha_0: along the mean of the prototypes; 0 for the merged loss, where it alternates


def weak_displacement(weight: float, rate: float, setting: Setting) -> Displacement:
    """Where weak prototypes hold the embeddings while the point (merged loss) or the antipodal line (full) flips.

        z_i = +-z* + [alpha (c_y - c_mean) + alpha_0 c_mean] perpendicular to z*              (tight as lambda -> 0)
        alpha = lambda / ((pull/tau) k - 2/mu),   k = (n - 2)/(n - 1) merged,   k = a - P_in full
        alpha_0 = lambda / ((pull/tau) (1 + a) - 2/mu) full, 0 merged

    with P_in = 1/(N - 1 + N q), P_out = q P_in, q = e^(-2/tau), a = (N - 1) P_in - N P_out, N = n/2. For the merged
    loss, sum and symmetric keys, alpha = (lambda tau/2) (n-1)/(n-2) / (1 - mu_c/mu): a large rate does not remove it.
    The state attracts, since perturbations have the multipliers without prototypes (T4, T12).

    Valid for: the ambient gradient, mu above the rate at which the point or line attracts, all samples labelled,
    balanced classes, alpha < 1/2. The relative error is about alpha^2. The weight is that of a labelled embedding in
    the loss that is descended: next to the sum loss for the sum, next to the mean loss for the mean.
    Source: T16 (ours).
    weight: lambda > 0; rate: mu > 0. Errors: ValueError outside the regime.
    """
    positive_number("weight", weight, remedy="it is the prototype weight lambda per labelled sample")
    positive_number("rate", rate, remedy="it is the learning rate mu")
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    if setting.gradient != "ambient":
        raise ValueError(f"gradient must be ambient, got {setting.gradient!r}; the tangent step never collapses (T4)")
    without_momentum(setting)
    own, common = _stiffness(setting.loss, setting.samples, setting.temperature)
    pull = setting.pull / setting.temperature
    if not own > 0:
        raise ValueError(f"samples must be more, got {setting.samples}; nothing attracts at this temperature (T4, T12)")
    if not pull * own > 2 / rate:
        raise ValueError(
            f"rate must be > {2 / (pull * own):.6g}, where the collapsed state attracts, got {rate!r}; "
            "below it the classes settle as T8 says"
        )
    alpha = weight / (pull * own - 2 / rate)
    if not alpha < SMALL:
        raise ValueError(
            f"weight must be < {SMALL * weight / alpha:.6g} here, got {weight!r}; it is the formula of weak prototypes"
        )
    return Displacement(alpha, 0.0 if setting.loss == "merged" else weight / (pull * common - 2 / rate))


def energy_off_line(weight: float, rate: float, setting: Setting, *, overlaps: Sequence[float]) -> float:
    """Share of the energy off the best line, 1 - sigma_1^2/n, that weak prototypes keep at a large rate.

        alpha^2 (1 - 1/K - [mean o^2 - (mean o)^2]) + alpha_0^2 (1/K - (mean o)^2)            (tight as lambda -> 0)

    with o_k = z*.c_k the overlaps of the line with the K prototypes. All zero gives the largest value, which long runs
    with d > K reach: the point turns away from the prototypes (measured).

    Valid for: as weak_displacement; K >= 2 orthonormal prototypes. Source: T16 (ours).
    overlaps: K numbers whose squares add up to at most 1. Errors: ValueError outside the regime.
    """
    K = whole_number("overlaps", len(overlaps), low=2)
    squares = sum(o**2 for o in overlaps)
    if not (squares <= 1 or math.isclose(squares, 1)):
        raise ValueError(f"overlaps must have squares that add up to at most 1, got {squares:.6g}; |z*| = 1")
    alpha, common = weak_displacement(weight, rate, setting)
    mean = sum(overlaps) / K
    return alpha**2 * (1 - 1 / K - (squares / K - mean**2)) + common**2 * (1 / K - mean**2)


def weak_effective_rank(weight: float, rate: float, setting: Setting, *, classes: int) -> float:
    """Effective rank beside the point or line, where it is perpendicular to all prototypes: close to 1.

        exp of the entropy of: 1 - E,  alpha^2/K K - 1 times,  alpha_0^2/K once           (tight as lambda -> 0)
        E = energy_off_line

    Valid for: as energy_off_line, d > K. Source: T16 (ours). Errors: ValueError outside the regime.
    """
    K = whole_number("classes", classes, low=2)
    d = setting.dimension
    if not d > K:
        raise ValueError(f"classes must be < dimension, got {K} >= {d}; no line is perpendicular to all prototypes")
    alpha, common = weak_displacement(weight, rate, setting)
    off = energy_off_line(weight, rate, setting, overlaps=[0.0] * K)
    shares = [1 - off, *[alpha**2 / K] * (K - 1), common**2 / K]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 0))


def _stiffness(loss: str, n: int, tau: float) -> tuple[float, float]:
    """k of a spread and of a common shift: 2/(pull k/tau) is the rate above which the flipping state holds it."""
    if loss == "merged":
        return (n - 2) / (n - 1), 0.0
    N, q = n // 2, math.exp(-2 / tau)
    within = 1 / (N - 1 + N * q)
    a = (N - 1) * within - N * q * within
    return a - within, 1 + a


def derive() -> "Derivation":
    """Groups of coinciding points in a plane keep n a symbol; one step with a small pull, to first order."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, defined_pull, every_setting, written_out

    n, mu, tau, pull, lam, q, K = sp.symbols("n mu tau pull lambda q K", positive=True)
    eps, w, c, along = sp.symbols("epsilon w c c_0", real=True)

    def displaced(z: "list[sp.Matrix]", counts: "list[sp.Expr]", pairs: "list[int]", *, detached: bool) -> sp.Expr:
        """Tangent coordinate of the first group after the flip, over epsilon, where all pulls are epsilon lambda c."""
        groups = range(len(z))
        A = [sp.Matrix(sp.symbols(f"p{i} q{i}", real=True)) for i in groups]
        C = A if not detached else [sp.Matrix(sp.symbols(f"u{i} v{i}", real=True)) for i in groups]
        total = sp.Integer(0)
        for i in groups:
            others = [count - (1 if i == a else 0) for a, count in enumerate(counts)]
            softmax = sum(m * sp.exp(A[i].dot(C[a]) / tau) for a, m in enumerate(others))
            total += counts[i] * (sp.log(softmax) - (A[i].dot(C[pairs[i]]) / tau if pairs else 0))
        place = {symbol: value for i in groups for points in (A[i], C[i])
                 for symbol, value in zip(points, z[i], strict=True)}  # fmt: skip
        g = sp.Matrix([total.diff(symbol).subs(place) for symbol in A[0]]) / counts[0]  # the same for all of a group
        y = z[0] - mu * g * pull / (1 if detached else 2) + mu * eps * lam * sp.Matrix([along, c])
        return -y[1].diff(eps).subs(eps, 0) / y[0].subs(eps, 0)

    sin, cos = sp.sin(eps * w), sp.cos(eps * w)
    Case = tuple[list[sp.Matrix], list[sp.Expr], list[int]]
    point: Case = ([sp.Matrix([cos, sin]), sp.Matrix([cos, -sin])], [n / 2, n / 2], [])
    line = (
        [sp.Matrix([cos, sin]), sp.Matrix([cos, -sin]), sp.Matrix([-cos, sin]), sp.Matrix([-cos, -sin])],
        [n / 4] * 4,
        [2, 3, 0, 1],
    )
    shifted = [sp.Matrix([cos, sin]), sp.Matrix([-cos, sin])], [n / 2, n / 2], [1, 0]
    inside = 1 / (n / 2 - 1 + n / 2 * q)
    a = (n / 2 - 1) * inside - n / 2 * q * inside
    x = pull * mu / tau
    multiplier = {
        "merged": (1 + x / (n - 1)) / (x - 1),
        "full": (1 + x * (1 + inside)) / (x * (1 + a) - 1),
        "full, common": 1 / (x * (1 + a) - 1),
    }
    stiffness = {"merged": (n - 2) / (n - 1), "full": a - inside, "full, common": 1 + a}
    alpha = {name: lam / (pull / tau * k - 2 / mu) for name, k in stiffness.items()}
    zeros = {}
    to_q = {sp.exp(-1 / tau): sp.sqrt(q), sp.exp(1 / tau): 1 / sp.sqrt(q)}
    for detached in (False, True):
        keys = "detached" if detached else "symmetric"
        for name, case in (("merged", point), ("full", line), ("full, common", shifted)):
            found = displaced(*case, detached=detached).subs(to_q)
            zeros[f"{name}, {keys}: one step"] = found.diff(w) - multiplier[name]
            zeros[f"{name}, {keys}: at rest"] = found.subs(w, alpha[name] * c) - alpha[name] * c
    o = sp.Matrix(sp.symbols("o1:4", real=True))  # z* in the frame of K = 3 prototypes and one axis more
    spare = sp.sqrt(1 - o.dot(o))
    star, eye = sp.Matrix([*o, spare]), sp.eye(4)
    mean = sum((eye[:, k] for k in range(3)), sp.zeros(4, 1)) / 3

    def across(v: sp.Matrix) -> sp.Expr:
        return v.dot(v) - v.dot(star) ** 2

    spread = sum(across(eye[:, k] - mean) for k in range(3)) / 3
    middle = sum(o) / 3
    energy = sp.Symbol("alpha") ** 2 * (1 - 1 / K) + sp.Symbol("alpha_0") ** 2 / K
    rate = 2 * tau / pull / stiffness["merged"]
    lost = o.dot(o) / 3 - middle**2
    leaning = sp.Symbol("alpha") ** 2 * (1 - 1 / K - lost) + sp.Symbol("alpha_0") ** 2 * (1 / K - middle**2)
    agreements: dict[str, Agreement] = {}
    own_, common_ = sp.symbols("alpha alpha_0")
    for setting in every_setting(0.3, 8, 12):
        if setting.gradient == "tangent":
            continue
        weight, step = (0.01, 3.0) if setting.reduction == "sum" else (0.001, 40.0)
        at = {n: 12, tau: sp.Rational(3, 10), mu: step, pull: defined_pull(setting), lam: sp.Rational(str(weight))}
        at[q] = sp.exp(-sp.Rational(20, 3))
        full = setting.loss == "full"
        held = {
            own_: alpha[setting.loss].subs(at),
            common_: (alpha["full, common"] if full else sp.Integer(0)).subs(at),
        }
        off = leaning.subs(dict(zip(o, (0, sp.Rational(3, 10), -sp.Rational(1, 2)), strict=True)))
        shares = [(1 - energy, 1), (own_**2 / K, 2)] + [(common_**2 / K, 1)] * full
        rank = sp.exp(-sum(times * share * sp.log(share) for share, times in shares))
        state = (weight, step, setting)

        def displaced_by(name: str, state: tuple[float, float, Setting] = state) -> float:
            return float(getattr(weak_displacement(*state), name))

        for name, code, derived in (
            ("weak_displacement, own", partial(displaced_by, "own"), own_),
            ("weak_displacement, common", partial(displaced_by, "common"), common_),
            ("energy_off_line", partial(energy_off_line, *state, overlaps=(0.0, 0.3, -0.5)), off),
            ("weak_effective_rank", partial(weak_effective_rank, *state, classes=3), rank),
        ):
            agreements[f"{name}, {written_out(setting)}"] = Agreement(code, derived.subs(K, 3).subs(held))
    return Derivation(
        theorem="T16",
        statement="Above the rate at which a point or line attracts, weak prototypes displace the embeddings by a first"
        " order in their weight, whatever the rate.",
        steps=(
            Step("Merged loss: two classes of n/2 points at the angles +-epsilon w, pulled by +-epsilon lambda c across"
                 " the point. By T4 the step flips the point; seen from the embedding's own frame it turns w into",
                 multiplier["merged"] * w + lam * mu * c / (x - 1), "w'"),
            Step("The first factor, T4's, is below 1 above mu_c, so this settles on w = alpha c with",
                 alpha["merged"], "alpha"),
            Step("which is (lambda tau/pull) (n-1)/(n-2)/(1 - mu_c/mu), mu_c being", rate, "mu_c"),
            Step("A common pull is answered by a turn of the whole point, which the flip undoes in the next step: it"
                 " alternates. Full loss: the line with antipodal views flips above T12's rate, both views of a sample"
                 " move by the same w, with q = exp(-2/tau), the softmax's shares P_in = 1/(N - 1 + N q), P_out = q"
                 " P_in, N = n/2, and a = (N-1) P_in - N P_out, and alpha is", alpha["full"], "alpha"),
            Step("There a common pull displaces both ends of the line to the same side, by",
                 alpha["full, common"], "alpha_0"),
            Step("With K balanced classes and orthonormal prototypes the mean of |c_y - c_mean|^2 is 1 - 1/K and"
                 " |c_mean|^2 = 1/K. Perpendicular to all of them, the line lacks the share", energy, "share"),
            Step("Where the line has the overlaps o_k with the prototypes, the displacements' parts along it are"
                 " missing: mean o^2 - (mean o)^2 of the first square, (mean o)^2 of the second"),
        ),
        zeros=zeros | {
            "alpha in mu_c": alpha["merged"] - lam * tau / pull * (n - 1) / (n - 2) / (1 - rate / mu),
            "spread across the line, K = 3": spread - (1 - sp.Rational(1, 3) - (o.dot(o) / 3 - middle**2)),
            "common across the line, K = 3": across(mean) - (sp.Rational(1, 3) - middle**2),
        },
        formulas={
            "merged": alpha["merged"],
            "full": alpha["full"].subs(q, sp.exp(-2 / tau)),
            "full, common": alpha["full, common"].subs(q, sp.exp(-2 / tau)),
            "energy_off_line": energy,
        },
        agreements=agreements,
    )  # fmt: skip
