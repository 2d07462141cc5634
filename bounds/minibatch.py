"""T24: complete collapse under minibatches: free embeddings, and shared weights with fresh view noise."""

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from clopsim.bounds.collapse import spread_multiplier, view_multiplier
from clopsim.bounds.setting import Floats, Setting, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation


def view_growth_rate(rate: Floats, setting: Setting, *, data: int) -> Floats:
    """Lyapunov exponent per step of a view difference at collapse, each step on a random batch of all embeddings.

        (B/n) log |1 - x (B-2)/(B-1)|,   x = pull mu / tau,   B = setting.samples, n = data              (tight)

    A visit multiplies by T4's factor with B for n, whoever else is in the batch: the noise of drawing shifts nothing.
    Negative exactly below T4's rate of the batch, exact_rate(setting).

    Valid for: the full loss, free embeddings (a table), either gradient. Source: T24 (ours).
    """
    share = setting.samples / _checked(setting, data)
    with np.errstate(divide="ignore"):
        return share * np.log(np.abs(view_multiplier(rate, setting)))


def spread_growth(rate: Floats, setting: Setting, *, data: int) -> Floats:
    """Factor by which a step on a random batch multiplies the mean square spread at collapse, views together.

        1 + (2 y + y^2) (b-1)/(N-1),   y = x B/(B-1),   b = B/2,   N = n/2                    (tight, in the mean)

    > 1 at every rate: minibatches do not make collapse attract. B = n gives T4's (1 + x n/(n-1))^2.

    Valid for: the full loss, free embeddings, B >= 4. Source: T24 (ours).
    """
    samples, batch = _checked(setting, data) // 2, setting.samples // 2
    y = spread_multiplier(rate, setting) - 1
    return 1 + (2 * y + y**2) * (batch - 1) / (samples - 1)


def fresh_noise_growth(rate: Floats, setting: Setting, *, inputs: int, variance: float) -> Floats:
    """Factor by which a step multiplies the mean square of the weights that tell two views apart, at collapse.

        1 - 2 c b + c^2 b (b + p + 1),   c = 2 x variance (B-2)/(B-1),   x = pull mu / tau,   b = B/2    (tight)

    One linear layer u = W x behind the normalisation, |u| = 1: samples that share their content, views that differ by
    +xi and -xi, xi Gaussian in p inputs of this variance each and drawn anew at every step.

    Valid for: full loss, B >= 4, tangent gradient. Source: T24 (ours); at b = 1 the LMS filter with white input.
    """
    c, b = rate * _noise_per_rate(setting, inputs, variance), setting.samples // 2
    return 1 - 2 * c * b + c**2 * b * (b + inputs + 1)


def fresh_noise_rate(setting: Setting, *, inputs: int, variance: float) -> Floats:
    """Learning rate above which that mean square grows.

        c < 2 / (b + p + 1),   against 2 / b if the noise were its average                    (tight, mean square)

    Above it rare large draws carry the mean; a typical run holds on to a larger rate (Jensen).

    Valid for: as fresh_noise_growth. Source: T24 (ours).
    """
    return 2 / (setting.samples // 2 + inputs + 1) / _noise_per_rate(setting, inputs, variance)


def _noise_per_rate(setting: Setting, inputs: int, variance: float) -> Floats:
    """c per unit of learning rate."""
    _checked(setting, setting.samples)
    whole_number("inputs", inputs, low=1)
    positive_number("variance", variance, remedy="it is that of the noise in one input")
    if setting.gradient != "tangent":
        raise ValueError(f"gradient must be tangent for shared weights, got {setting.gradient!r}; autograd projects it")
    size = setting.samples
    return 2 * setting.pull / setting.tau * variance * (size - 2) / (size - 1)


def _checked(setting: Setting, data: int) -> int:
    """The number of all embeddings, if a full-loss batch of at least two samples can be drawn from it."""
    if setting.loss != "full":
        raise ValueError(f"loss must be full, got {setting.loss!r}; a merged ambient step flips the batch alone")
    whole_number("samples", setting.samples, low=4)
    if whole_number("data", data, low=setting.samples) % 2:
        raise ValueError(f"data must be even, got {data}; it counts both views of every sample, so give 2N")
    return data


def _closed_forms(b: "sp.Expr", N: "sp.Expr", y: "sp.Symbol", c: "sp.Symbol", p: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    return {
        "spread": 1 + (2 * y + y**2) * (b - 1) / (N - 1),
        "fresh noise": 1 - 2 * c * b + c**2 * b * (b + p + 1),
    }


def _noise_factor(x: "sp.Expr", B: "sp.Expr", variance: "sp.Expr") -> "sp.Expr":
    """Claimed c; x = pull mu/tau."""
    return 2 * x * variance * (B - 2) / (B - 1)


def derive() -> "Derivation":
    """The average over all batches, the fourth moments of the noise, and where the mean square stands still."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    b, N, y, c, p, x, B, variance = sp.symbols("b N y c p x B sigma^2", positive=True)
    claims = _closed_forms(b, N, y, c, p)
    zeros = {}
    # over all batches of b of N numbers of sum zero: each is drawn alike, and so is each pair
    for number, size in ((4, 2), (4, 3), (5, 2), (5, 4)):
        free = sp.symbols(f"delta1:{number}", real=True)
        delta = (*free, -sum(free))
        batches = list(combinations(delta, size))
        inside = sum(sum((one - sum(batch) / size) ** 2 for one in batch) for batch in batches) / len(batches)
        share = sp.Rational(size - 1, number - 1)
        zeros[f"spread in a batch, b = {size}, N = {number}"] = sp.expand(inside - share * sum(d**2 for d in delta))
        grown = sp.expand(inside * ((1 + y) ** 2 - 1)) / sum(d**2 for d in delta) + 1
        zeros[f"spread, b = {size}, N = {number}"] = sp.simplify(grown - claims["spread"].subs({b: size, N: number}))
    zeros["spread, all samples"] = sp.expand(claims["spread"].subs(b, N) - (1 + y) ** 2)
    g = sp.symbols("g", real=True)
    second, fourth = (
        sp.integrate(g**power * sp.exp(-(g**2) / 2), (g, -sp.oo, sp.oo)) / sp.sqrt(2 * sp.pi) for power in (2, 4)
    )
    same = fourth + (p - 1) * second**2  # E |g|^2 g_1^2
    square = b * same + b * (b - 1) * second**2  # E (sum_k g_k g_k^T)^2, a multiple of the identity
    zeros["fresh noise"] = sp.expand(1 - 2 * c * b * second + c**2 * square - claims["fresh noise"])
    edge = 2 / (b + p + 1)
    zeros["edge"] = sp.simplify(claims["fresh noise"].subs(c, edge) - 1)
    # opposite noise: the loss at views +-d_k of angles, to second order; the sum over the batch, symmetric keys
    per_pair = 2 * (B - 2) / (B - 1)
    eps, tau = sp.symbols("epsilon tau", positive=True)
    for size in (2, 3):  # samples
        d = sp.symbols(f"d1:{size + 1}", real=True)
        angles = [eps * sign * one for sign in (1, -1) for one in d]
        energy = sp.Integer(0)
        for i, here in enumerate(angles):
            others = [sp.cos(here - there) / tau for a, there in enumerate(angles) if a != i]
            energy += sp.log(sum(sp.exp(one) for one in others)) - sp.cos(2 * here) / tau
        second = energy.diff(eps, 2).subs(eps, 0) / 2
        zeros[f"opposite views, b = {size}"] = sp.expand(
            sp.simplify(second - per_pair.subs(B, 2 * size) * sum(one**2 for one in d) / tau)
        )
    w, sigma, mu = sp.symbols("w sigma mu", positive=True)  # a step on the loss of one pair, x = 2 mu/tau
    pushed = mu * (per_pair * (w * sigma * g) ** 2 / tau).diff(w)
    zeros["c"] = sp.simplify(pushed - _noise_factor(2 * mu / tau, B, sigma**2) * g**2 * w)
    return Derivation(
        theorem="T24",
        statement="Under minibatches of B embeddings views part at T4's rate with B for n; fresh noise lowers it.",
        steps=(
            Step("Free embeddings, views apart: whoever is in the batch, a visit multiplies the difference by",
                 1 - x * (B - 2) / (B - 1), "m"),
            Step("Each embedding is visited in B/n of the steps: the exponent per step is (B/n) log of its size. Views"
                 " together: the batch's spread about its own mean is multiplied by 1 + y, y = xB/(B-1). Over all"
                 " batches, of b = B/2 samples of N = n/2, it is on average this share of the whole spread:",
                 (b - 1) / (N - 1), "share"),
            Step("so the mean square is multiplied by", claims["spread"], "m"),
            Step("Shared weights w (a row of W along a tangent direction), views +xi and -xi: the loss of a sample's"
                 " pair, attraction less repulsion, is (w.xi)^2/tau times", per_pair, "L tau/(w.xi)^2"),
            Step("(symmetric keys), so w <- (1 - c sum_k g_k g_k^T) w, xi = sigma g, g standard normal in p"
                 " dimensions, and",
                 _noise_factor(x, B, variance), "c"),
            Step("E (sum_k g_k g_k^T)^2 is the identity times", sp.factor(square), "factor"),
            Step("The mean square is multiplied by", claims["fresh noise"], "m"),
            Step("It grows once c passes", edge, "c >"),
        ),
        zeros=zeros,
        formulas={**claims, "edge": edge},
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """Growth and rates in every setting, from T4's closed forms with B for n and the claims above."""
    from dataclasses import replace
    from functools import partial

    import sympy as sp

    from clopsim.bounds.collapse import _closed_forms as collapse
    from clopsim.bounds.derivation import Agreement, defined_pull, entry, every_setting, written_out

    found: dict[str, Agreement] = {}
    mu, B, n, p, variance = sp.Rational(1, 10), sp.Integer(12), sp.Integer(32), sp.Integer(5), sp.Rational(3, 10)
    for setting in every_setting(0.4, 8, 12):
        if setting.loss != "full":
            continue
        x = defined_pull(setting) * mu / sp.Rational(2, 5)
        c, at_collapse = _noise_factor(x, B, variance), collapse(x, B)
        claims = _closed_forms(B / 2, n / 2, at_collapse["together"] - 1, c, p)
        grows = sp.log(sp.Abs(at_collapse["apart"])) * B / n
        for several in (setting, replace(setting, temperature=(1.0, 0.4))):
            numbers = [
                ("view_growth_rate", partial(view_growth_rate, 0.1, several, data=32), grows),
                ("spread_growth", partial(spread_growth, 0.1, several, data=32), claims["spread"]),
            ]
            if setting.gradient == "tangent":
                noise = partial(fresh_noise_growth, 0.1, several, inputs=5, variance=0.3)
                edge = partial(fresh_noise_rate, several, inputs=5, variance=0.3)
                numbers.append(("fresh_noise_growth", noise, claims["fresh noise"]))
                numbers.append(("fresh_noise_rate", edge, 2 / (B / 2 + p + 1) * mu / c))
            for name, code, derived in numbers:
                where = f"{written_out(setting)}, tau = {several.temperature}"
                found[f"{name}, {where}"] = Agreement(entry(code, -1), derived)
    return found
