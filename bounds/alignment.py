"""T5, second half: when the two views of a sample stop agreeing, in the uniform state (n -> infinity)."""

import numpy as np

from bounds.setting import Floats, Setting, positive_number
from bounds.uniform import harmonic_spectrum, radial_rate


def alignment_uniform_rate(setting: Setting) -> Floats | None:
    """Learning rate above which the views of a sample come apart in the uniform state; None for the merged loss.

        tangent: mu_align = tau / pull          (tau/2 for the sum with symmetric keys: the centre of the paper's range)
        ambient: mu_align = tau / (pull A_1)                                              (tight as n -> infinity)

    Above it the tangent dynamics settle on a swap of period two (swap_cosine), the ambient ones on antipodal views.

    Valid for: the full loss, n -> infinity. Source: T5 (ours).
    """
    if setting.loss != "full":
        return None
    rate = setting.tau / setting.pull
    if setting.gradient == "ambient":
        mean_length = harmonic_spectrum(setting, degrees=1).mean_length
        rate = rate / (mean_length if mean_length.ndim else float(mean_length))
    return rate


def view_difference_multiplier(rate: Floats, setting: Setting) -> Floats:
    """Factor by which one step multiplies a small difference of two views in the uniform state.

        tangent: 1 - 2 x;   ambient: (1 - x (1 + A_1)) / (1 + x (1 - A_1)),   x = pull mu / tau
                                                                                   (tight as n -> infinity)

    Valid for: the full loss. Source: T5 (ours).
    """
    if setting.loss != "full":
        raise ValueError(f"loss must be full, got {setting.loss!r}; the merged loss has no views")
    x = setting.pull * np.asarray(rate, dtype=np.float64) / setting.tau
    mean_length = harmonic_spectrum(setting, degrees=1).mean_length
    multiplier = 1 - 2 * x
    if setting.gradient == "ambient":
        multiplier = (1 - x * (1 + mean_length)) / (1 + rate * radial_rate(setting))
    return float(multiplier) if np.ndim(multiplier) == 0 else multiplier


def swap_cosine(rate: float, setting: Setting) -> Floats:
    """Cosine of the two views after many steps: 1 up to mu_align, then the swap of period two.

        cos = 1 for mu <= mu_align,   mu_align / mu above           (tight; tau/(2 mu) for the sum, symmetric keys)

    Valid while the other samples stay uniform: far above mu_align the swapped views disturb them (measured at d = 8,
    tau = 0.5, 2 mu_align: 0.435 instead of 0.5; at d = 3, tau = 1: 0.4998).
    From tan phi = (2 mu / tau) sin phi, phi the angle of the views: each step rotates each view onto the other.

    Valid for: the full loss, the tangent gradient (ambient views end antipodal instead).
    Source: T5 (ours).
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    if setting.loss != "full" or setting.gradient != "tangent":
        raise ValueError(
            f"loss and gradient must be full and tangent, got {setting.loss!r} and {setting.gradient!r}; "
            "only those dynamics settle on the swap"
        )
    cosine = np.minimum(1.0, np.asarray(setting.tau / setting.pull) / rate)
    return float(cosine) if cosine.ndim == 0 else cosine
