"""Many small networks at once: stacked parameters (members, ...) -> raw embeddings (members, rows, d).

Linear networks and MLPs in products over all members, each hidden layer with batch normalisation by its closed-form
gradient; all others by torch.func. The rows of a batch come last in memory, (members, features, rows): each small
operation is then one contiguous sweep.
"""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from clopsim.sphere.products import dots, product

ORDER = re.compile(r"Flatten( Linear BatchNorm1d ReLU| Linear\+bias ReLU)* Linear\+bias")
"""The networks that are computed in products: linear ones and MLPs."""


def stacked_network(network: nn.Module, params: dict[str, Tensor], x: Tensor, *, shared: bool) -> Tensor:
    """The network's output for every member, (M, rows, d), differentiable once in the parameters.

    params: those of the network by name, each (M, ...); x: (rows, ...) where shared by all, else (M, rows, ...).
    """
    layers = list(network) if isinstance(network, nn.Sequential) else []
    if not ORDER.fullmatch(" ".join(map(_kind, layers))):
        return by_torch(network, params, x, shared=shared)
    h = x.flatten(1 if shared else 2).mT  # (features, rows) or (M, features, rows)
    for k, layer in enumerate(layers):
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            h = _Linear.apply(h, params[f"{k}.weight"], params[f"{k}.bias"])  # type: ignore[no-untyped-call]
            h = h.relu() if k + 1 < len(layers) else h
        elif isinstance(layer, nn.BatchNorm1d):  # with the linear layer before it and the ReLU behind it
            weight, scale, shift = params[f"{k - 1}.weight"], params[f"{k}.weight"], params[f"{k}.bias"]
            h = _Hidden.apply(h, weight, scale, shift, layer.eps)  # type: ignore[no-untyped-call]
    return h.mT


def _kind(layer: nn.Module) -> str:
    """Its class, of a linear layer also whether it has a bias."""
    name = type(layer).__name__
    return f"{name}+bias" if isinstance(layer, nn.Linear) and layer.bias is not None else name


def by_torch(network: nn.Module, params: dict[str, Tensor], x: Tensor, *, shared: bool) -> Tensor:
    """The same for any network; a single one as it is, since under vmap a convolution is a slower, grouped one."""
    if len(next(iter(params.values()))) == 1:
        own = {name: value[0] for name, value in params.items()}
        return functional_call(network, own, (x if shared else x[0],))[None]

    def one(values: dict[str, Tensor], rows: Tensor) -> Tensor:
        return functional_call(network, values, (rows,))

    return vmap(one, in_dims=(0, None if shared else 0))(params, x)


class _Linear(torch.autograd.Function):
    """W x + b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(weight, x).add_(bias[..., None])

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        to_x = product(weight.mT, outer[0]) if ctx.needs_input_grad[0] else None  # not for the data
        return to_x, product(outer[0], x.mT), outer[0].sum(dim=-1)


class _Hidden(torch.autograd.Function):
    """relu(a y + shift) of y = W (x - mean x), a = scale / sqrt(mean y^2 + eps), means over the rows.

    With g the gradient where the output is positive, 0 elsewhere:

        dL/dW = a g' x^T,  dL/dx = (a W)^T g',  g' = g - mean g - y (sum g y) / (n (mean y^2 + eps))
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
        y = product(weight, x)  # (M, width, n)
        y.sub_(product(weight, x.mean(dim=-1, keepdim=True)))
        inverse = torch.linalg.vector_norm(y, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        a = scale[..., None] * inverse
        out = (y * a).add_(shift[..., None]).relu_()
        ctx.save_for_backward(x, weight, y, inverse, a, out)
        return out

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, None]:
        x, weight, y, inverse, a, out = ctx.saved_tensors
        g = torch.ops.aten.threshold_backward.grad_input(outer[0], out, 0, grad_input=outer[0])  # nobody else has it
        total, along = g.sum(dim=-1, keepdim=True), dots(g, y)
        g.addcmul_(y, along * inverse.square() / -y.shape[-1]).sub_(total / y.shape[-1])
        to_weight = product(g, x.mT).mul_(a)
        to_x = product((a * weight).mT, g) if ctx.needs_input_grad[0] else None  # not for the data
        return to_x, to_weight, (along * inverse).squeeze(-1), total.squeeze(-1), None
