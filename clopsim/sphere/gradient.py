"""InfoNCE, full and merged, with its gradient in closed form: no autograd in the inner loop."""

import torch
from torch import Tensor

from clopsim.bounds import Setting


def contrastive_loss(z: Tensor, tau: Tensor | float, setting: Setting) -> Tensor:
    """Loss of every run, differentiable; autograd of it is the oracle of `gradient`.

        full:   sum_i [ -s_ij(i)/tau + log sum_(a != i) exp(s_ia/tau) ]
        merged: sum_i        log sum_(a != i) exp(s_ia/tau)          (divided by n for the mean reduction)

    j(i) is the other view of i: views are stacked, embeddings i and i + n/2 belong together. With detached keys the
    value is the same and the gradient reaches z_i as the anchor only.

    Source: merged from arXiv:2512.07880; full from SimCLR, arXiv:2002.05709.
    z: (..., n, d) unit rows; tau: broadcasts to (...). Returns (...).
    """
    n = setting.samples
    keys = z.detach() if setting.keys == "detached" else z
    cosines = z @ keys.mT  # (..., n, n)
    tau = torch.as_tensor(tau, dtype=z.dtype, device=z.device)[..., None]
    per_anchor = torch.logsumexp(_without_self(cosines) / tau[..., None], dim=-1)
    if setting.loss == "full":
        per_anchor = per_anchor - (z * keys.roll(n // 2, dims=-2)).sum(dim=-1) / tau
    return per_anchor.mean(dim=-1) if setting.reduction == "mean" else per_anchor.sum(dim=-1)


def gradient(z: Tensor, tau: Tensor | float, setting: Setting, *, prototypes: Tensor | None = None) -> Tensor:
    """Euclidean gradient of contrastive_loss in z, projected onto the tangent space if the setting says so.

        g_i = (1/tau) sum_a (P_ia + P_ai) z_a   merged;   - (2/tau) z_j(i) more for the full loss
        g_i = (1/tau) sum_a  P_ia         z_a   merged;   - (1/tau) z_j(i) more, detached keys
        tangent: g_i - (z_i . g_i) z_i

    P is the softmax over the other embeddings' cosines / tau; its row maximum is subtracted, so no temperature
    overflows and no row sum is 0.

    prototypes adds the CLOP term sum_i weight (1 - z_i . c_y(i)) in its cosine distance: rows weight * c_y(i), zero for
    an unlabelled sample, subtracted from the Euclidean gradient (arXiv:2403.18699v2; weight per sample, sum).

    z: (..., n, d) unit rows; tau: broadcasts to (...); prototypes: broadcasts to z. Returns (..., n, d).
    """
    n = setting.samples
    tau = torch.as_tensor(tau, dtype=z.dtype, device=z.device)[..., None, None]
    logits = z @ z.mT / tau  # (..., n, n)
    logits.diagonal(dim1=-2, dim2=-1).fill_(-torch.inf)  # in place: the inner loop of everything
    softmax = torch.softmax(logits, dim=-1)
    g = softmax @ z
    if setting.keys == "symmetric":
        g = g + softmax.mT @ z
    if setting.loss == "full":
        g = g - (2 if setting.keys == "symmetric" else 1) * z.roll(n // 2, dims=-2)
    g = g / (tau * n if setting.reduction == "mean" else tau)
    if prototypes is not None:
        g = g - prototypes
    if setting.gradient == "tangent":
        g = g - (z * g).sum(dim=-1, keepdim=True) * z
    return g


def _without_self(cosines: Tensor) -> Tensor:
    """The cosines with -inf on the diagonal: an anchor is not its own negative."""
    eye = torch.eye(cosines.shape[-1], dtype=torch.bool, device=cosines.device)
    return cosines.masked_fill(eye, -torch.inf)
