"""The balance of several losses, learned through one sigma each."""

import math

import torch
from torch import Tensor

from clopsim.bounds.setting import is_number, plain, shown
from clopsim.losses.views import check_tensor

FLOOR = -1.0
"""Of log sigma: the weight of a term stays below exp(2)/2 = 3.7. Without one it grows like 1/(2 L) as L falls to 0."""


def learned_balance(terms: Tensor, log_sigma: Tensor, *, floor: float = FLOOR) -> Tensor:
    """sum_t [ 1/2 exp(-2 l_t) L_t + l_t ],  l_t = log sigma_t, held at the floor from below.

    Where sigma_t^2 = L_t a term is 1/2 + 1/2 log L_t: its gradient is that of L_t divided by 2 L_t, and so are all
    critical rates multiplied by 2 L_t (ours). Descent in log sigma at rate mu is stable iff mu < 1.
    Below its floor a log sigma gets only a gradient that raises it: it stays until its loss exceeds exp(2 floor), and
    then comes back.

    Source: Kendall et al., arXiv:1705.07115 (style of: the halves and logarithms; the floor is ours).
    terms, log_sigma: (T,) each. Returns a scalar. Raises ValueError for other shapes.
    """
    check_tensor(terms, "terms")
    check_tensor(log_sigma, "log_sigma")
    if terms.shape != log_sigma.shape:
        raise ValueError(
            f"log_sigma must have the shape of the terms, got {tuple(log_sigma.shape)} and {tuple(terms.shape)}; "
            "each loss has its own"
        )
    if not (is_number(plain(floor)) and (floor == -math.inf or abs(floor) <= 1e4)):
        raise ValueError(f"floor must be a number or -inf, got {shown(floor)}; it is of log sigma, such as -1")
    held = log_sigma.clamp(min=floor)
    slope = (1 - torch.exp(-2 * held) * terms).detach()
    back = (log_sigma < floor) & (slope < 0)
    held = held + torch.where(back, log_sigma - log_sigma.detach(), 0.0)  # 0 with a gradient, which clamp has not
    return (0.5 * torch.exp(-2 * held) * terms + held).sum()
