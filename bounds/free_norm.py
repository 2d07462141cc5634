"""T10: what training code really does. The norm is free, and weight decay sets the alignment of the views."""

from typing import TYPE_CHECKING

import numpy as np

from bounds.setting import Floats, Setting, positive_number, without_momentum

if TYPE_CHECKING:
    from bounds.derivation import Derivation


def decayed_view_cosine(rate: float, *, weight_decay: float) -> float:
    """Cosine of the two views in the steady state of free-norm descent with weight decay.

        cos = 1 - mu w                                    (tight for small mu w)

    whatever temperature, dimension, number of samples, keys and reduction.

    Valid for: the full loss, the tangent gradient, 0 < mu w < 1, while the alignment of the views is the first
    instability (T5). Up to mu w = 0.03 runs of 256 embeddings keep 1 - cos within 0.3 % of mu w. Above, it creeps up
    over hundreds of steps: at (d, tau) = (3, 1), mu w = 0.1 from 1.01 or 1.02 to 1.04 or 1.05 mu w after 1500 steps,
    for n = 64 and 256 alike; larger n only slows it.
    Source: T10 (ours).

    rate: mu > 0; weight_decay: w > 0, so that one step multiplies the free norm by 1 - mu w.
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    positive_number("weight_decay", weight_decay, remedy="without decay the norm freezes where the step is safe")
    if not rate * weight_decay < 1:
        raise ValueError(
            f"weight_decay must keep rate * weight_decay < 1, got {rate:g} * {weight_decay:g}; lower one of them"
        )
    return 1 - rate * weight_decay


def steady_squared_norm(rate: float, setting: Setting) -> Floats:
    """Squared norm |u|^2 of the free embeddings in the steady state with weight decay.

        |u|^2 = pull mu / tau                             (tight as n -> infinity; 2 mu/tau: sum, symmetric keys)

    Independent of the weight decay. Without decay it is a lower bound of the norm at which a run freezes, for rates
    that start above the edge: norms grow until mu/|u|^2 <= tau/pull and never shrink.

    Valid for: the full loss, the tangent gradient, as decayed_view_cosine.
    Source: T10 (ours).
    """
    _checked(rate, setting)
    without_momentum(setting)
    return setting.pull * rate / setting.tau


def effective_rate(rate: float, squared_norm: Floats, setting: Setting) -> Floats:
    """Learning rate that an embedding of squared norm |u|^2 feels, in units of T5's alignment threshold.

        (mu / |u|^2) / mu_align = (pull mu / tau) / ((1 + beta) |u|^2),   mu_align = (1 + beta) tau / pull

    Below 1 the views stay together. Above 1 a free norm grows until it is 1 (T10, no decay); with weight decay 1 is
    where it settles, since then |u|^2 = pull mu / tau. Momentum beta makes the views more stable, not less: they come
    apart by a flip, which the velocity damps (T14). Only along slow directions is a rate felt mu/(1 - beta).

    Valid for: the full loss and the tangent gradient; free embeddings. In a network it is a label, not a threshold.
    Source: T5, T10, T14 (ours).

    rate: mu > 0; squared_norm: any shape (...), >= 0; 0 gives inf.
    """
    _checked(rate, setting)
    norm = np.asarray(squared_norm, dtype=np.float64)
    if np.any(norm < 0):
        raise ValueError(f"squared_norm must be >= 0, got {squared_norm!r}; it is the square of a length")
    with np.errstate(divide="ignore"):
        units = setting.pull * rate / setting.tau / (1 + setting.momentum) / norm
    return float(units) if units.ndim == 0 else units


def _checked(rate: float, setting: Setting) -> None:
    positive_number("rate", rate, remedy="it is the learning rate mu")
    if setting.loss != "full" or setting.gradient != "tangent":
        raise ValueError(
            f"loss and gradient must be full and tangent, got {setting.loss!r} and {setting.gradient!r}; "
            "a free norm means the gradient of autograd, and the steady state is a swap of views"
        )


def derive() -> "Derivation":
    """The steady state: the norm's balance fixes the rotation, the swap makes the rotation the angle of the views."""
    import sympy as sp

    from bounds.derivation import Derivation, Step

    mu, w, tau, pull, phi, norm = sp.symbols("mu w tau pull phi N", positive=True)  # N = |u|^2
    along = (1 - mu * w) * sp.sqrt(norm)
    across = mu / sp.sqrt(norm) * pull / tau * sp.sin(phi)
    rotation = sp.simplify(across / along)  # tan psi
    balance = sp.expand(along**2 + across**2 - norm)
    cosine = 1 - mu * w
    squared_norm = pull * mu / tau
    steady = {sp.sin(phi): sp.sqrt(1 - cosine**2), norm: squared_norm}
    return Derivation(
        theorem="T10",
        statement="With weight decay the two views settle at cosine 1 - mu w and the squared norm at pull mu/tau.",
        steps=(
            Step("Along z the step shrinks the embedding to", along),
            Step("Across z it moves by (mu/|u|) times the pull of the other view at angle phi", across),
            Step("so it rotates by psi with tan psi =", rotation),
            Step("A steady norm needs the squared lengths to add up to N, which gives cos psi = 1 - mu w", balance),
            Step("The views swap: each turns by psi onto the other's side, so psi = phi and cos phi =", cosine),
            Step("tan phi / sin phi = 1/cos phi then gives the squared norm", squared_norm),
        ),
        zeros={
            "the norm is steady": balance.subs(steady),
            "the rotation is the angle of the views": (rotation / sp.sin(phi)).subs(norm, squared_norm) - 1 / cosine,
        },
        formulas={"decayed_view_cosine": cosine, "steady_squared_norm": squared_norm},
    )
