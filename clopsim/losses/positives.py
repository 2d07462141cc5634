"""Which pairs are positive: other views of a sample, equal labels, shared labels, a mask of one's own."""

import torch
from torch import Tensor

from clopsim.losses.tiles import Mask
from clopsim.losses.views import check_tensor


def same_sample(samples: int) -> Mask:
    """Views of one sample, an embedding itself among them; row i is a view of sample i mod N."""
    return lambda rows, columns: rows % samples == columns % samples


def other_views(samples: int) -> Mask:
    """Two different views of one sample."""
    same = same_sample(samples)
    return lambda rows, columns: same(rows, columns) & (rows != columns)


def mean_of_other_views(z: Tensor, views: int) -> Tensor:
    """(V N, d), for every embedding the mean of the other views of its sample. Errors: ValueError for one view."""
    if views < 2:
        raise ValueError(
            "first must hold at least two views, got one; without labels another view is the only positive"
        )
    by_view = z.reshape(views, -1, z.shape[-1])  # (V, N, d)
    if views == 2:
        return by_view.flip(0).reshape(z.shape)
    return ((by_view.sum(dim=0) - by_view) / (views - 1)).reshape(z.shape)


def positives_of(z: Tensor, views: int, labels: Tensor | None, mask: Tensor | None) -> Mask:
    """The other views of a sample and what labels or a mask of samples say; never an embedding and itself."""
    samples = len(z) // views
    views_too = other_views(samples)
    if mask is not None:
        if labels is not None:
            raise ValueError("positives must come without labels, got both; give one of them")
        if mask.shape != (samples, samples) or mask.dtype != torch.bool:
            raise ValueError(
                f"positives must be a boolean mask of shape {(samples, samples)}, got {mask.dtype} of shape "
                f"{tuple(mask.shape)}; True where sample a is a positive of anchor i"
            )
        return _joined(views_too, lambda rows, columns: mask[rows % samples, columns % samples])
    if labels is None:
        return views_too
    check_tensor(labels, "labels")
    if labels.ndim == 1:
        return _joined(views_too, lambda rows, columns: _alike(labels[rows % samples], labels[columns % samples]))
    shared = labels.to(z.dtype)  # (N, C), 0 and 1
    return _joined(
        views_too,
        lambda rows, columns: shared[rows.squeeze(1) % samples] @ shared[columns.squeeze(0) % samples].mT > 0.5,
    )


def _alike(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours == theirs) & (ours >= 0)


def _joined(views: Mask, more: Mask) -> Mask:
    return lambda rows, columns: (views(rows, columns) | more(rows, columns)) & (rows != columns)
