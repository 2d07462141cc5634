"""T4: one step near complete collapse, exactly, for a finite batch: when collapse attracts, when views come apart."""

import math

import numpy as np
from numpy.typing import NDArray

from bounds.setting import Floats, Setting


def exact_rate(setting: Setting) -> Floats:
    """The rate mu_c at which the linearised step near complete collapse changes character.

        mu_c = (2 tau / pull) (n - 1) / (n - 2)            (tight; tau (n-1)/(n-2) for the sum with symmetric keys)

    What changes there depends on the loss and the gradient: see collapse_rate and alignment_collapse_rate.

    Valid for: n >= 3.
    Source: T4 (ours: the bound of arXiv:2512.07880 made exact for a finite batch).
    """
    n = setting.samples
    if n < 3:
        raise ValueError(f"samples must be >= 3, got {n}; with two embeddings collapse never attracts at any rate")
    return 2 * setting.tau / setting.pull * (n - 1) / (n - 2)


def collapse_rate(setting: Setting) -> Floats | None:
    """Learning rate above which complete collapse attracts; None where it never does.

    exact_rate for the merged loss with the ambient gradient (tight); never with the tangent gradient, never for the
    full loss, never for n = 2.

    Source: T4 (ours).
    """
    if why_collapse_never_attracts(setting):
        return None
    return exact_rate(setting)


def why_collapse_never_attracts(setting: Setting) -> str:
    """The reason in one clause, empty where collapse attracts above some rate."""
    if setting.loss == "full":
        return "collapse never attracts: views that move together multiply by 1 + (pull mu/tau) n/(n-1) > 1"
    if setting.gradient == "tangent":
        return "collapse never attracts: tangent perturbations multiply by 1 + (pull mu/tau) n/(n-1) > 1"
    if setting.samples < 3:
        return "collapse never attracts with two embeddings"
    return ""


def alignment_collapse_rate(setting: Setting) -> Floats | None:
    """Learning rate above which two views of a sample come apart at complete collapse; None for the merged loss.

    exact_rate for the full loss, either gradient (tight); none for n = 2, where there is one sample and no negative.

    Source: T4 (ours).
    """
    if why_collapse_keeps_alignment(setting):
        return None
    return exact_rate(setting)


def why_collapse_keeps_alignment(setting: Setting) -> str:
    """The reason in one clause why alignment at collapse has no critical rate, empty where it has one."""
    if setting.loss == "merged":
        return "the merged loss has no views"
    if setting.samples < 3:
        return "a single sample has no negatives"
    return ""


def spread_multiplier(rate: Floats, setting: Setting) -> Floats:
    """Factor by which one step multiplies a zero-mean perturbation of complete collapse (views moving together).

        merged, ambient:   (1 + x/(n-1)) / (1 - x)         (tight, first order in the perturbation)
        otherwise:         1 + x n/(n-1)                   with x = pull mu / tau

    Infinite at x = 1 (merged, ambient), where the collapsed point itself is sent to the origin.

    Valid for: n >= 2. Source: T4 (ours).
    rate and the setting's temperatures broadcast.
    """
    n = setting.samples
    x = setting.pull * np.asarray(rate, dtype=np.float64) / setting.tau
    if setting.loss == "merged" and setting.gradient == "ambient":
        with np.errstate(divide="ignore"):
            return _plain((1 + x / (n - 1)) / (1 - x))
    return _plain(1 + x * n / (n - 1))


def view_multiplier(rate: Floats, setting: Setting) -> Floats:
    """Factor by which one step multiplies the difference of two views at complete collapse.

        1 - x (n-2)/(n-1),  x = pull mu / tau              (tight, first order in the perturbation)

    Valid for: the full loss, either gradient. Source: T4 (ours).
    """
    if setting.loss != "full":
        raise ValueError(f"loss must be full, got {setting.loss!r}; the merged loss has no views")
    n = setting.samples
    x = setting.pull * np.asarray(rate, dtype=np.float64) / setting.tau
    return _plain(1 - x * (n - 2) / (n - 1))


def loss_at_collapse(setting: Setting) -> Floats:
    """Value of the loss when all embeddings are equal: the number that a stuck training run shows.

        full: log(n-1) = log(2N-1);   merged: 1/tau + log(n-1);   times n for the sum       (tight)

    The full value is also taken whenever all cosines are equal (a regular simplex, if n <= d + 1), and random
    embeddings come near it: read it beside the mean cosine, never alone.

    Valid for: every setting. Source: by substitution.
    """
    per_anchor: Floats = math.log(setting.samples - 1) + (
        1 / setting.tau if setting.loss == "merged" else 0 * setting.tau
    )
    return per_anchor * (setting.samples if setting.reduction == "sum" else 1)


def _plain(value: NDArray[np.float64]) -> Floats:
    return float(value) if np.ndim(value) == 0 else value
