"""The proof's second order of all cosines against the Hessian of the code's loss, at numbers."""

import numpy as np
import pytest
import sympy as sp
import torch

from clopsim.bounds.second_order import class_moves, names, second_order, shares_in, within
from clopsim.losses.pauc import pauc_of_rows

K, M, D = 5, 3, 6
PATTERNS = ("contrast, outside", "common, outside", "antisymmetric", "standard", "symmetric")
VALUES = {"K": K, "m": M, "tau": 0.6, "l_p": 1.3, "l_a": 0.7, "l_u": 0.9, "l_c": 0.4, "t": 1.7}


def moved(kinds, points):
    """(2N, d) moves: the classes in the order of the kinds."""
    symbols = names()
    at = {symbols["K"]: K, symbols["m"]: M, symbols["s"]: -1 / (K - 1)}
    order = [kind.name for kind in kinds for _ in range(int(sp.sympify(kind.classes).subs(at)))]
    where = {name: points[order.index(name)] for name in order}
    first, second = [], []
    classes = iter(range(K))
    for kind in kinds:
        for _ in range(int(sp.sympify(kind.classes).subs(at))):
            own = next(classes)
            vectors = where | {"own": points[own], "w": np.eye(D)[-1]}
            for count, *views in kind.samples:
                for _ in range(int(sp.sympify(count).subs(at))):
                    for view, move in zip((first, second), views, strict=True):
                        parts = [float(sp.sympify(c).subs(at)) * vectors[key] for key, c in move.items()]
                        view.append(sum(parts, np.zeros(D)))
    return torch.from_numpy(np.array(first + second))


@pytest.mark.parametrize("together", (True, False))
@pytest.mark.parametrize("pattern", (*PATTERNS, "within, outside", "within, inside"))
def test_it_is_the_second_derivative_of_the_loss(pattern, together):
    symbols = names()
    if pattern.startswith("within"):
        kinds = within(symbols, together=together, inside=pattern.endswith("inside"))
    else:
        kinds = class_moves(symbols, pattern, together=together)
    corners = np.linalg.svd(np.eye(K) - 1 / K)[0][:, : K - 1]
    points = np.pad(corners / np.linalg.norm(corners, axis=1, keepdims=True), ((0, 0), (0, D - K + 1)))
    labels = torch.arange(K).repeat_interleave(M).repeat(2)
    z, move = torch.from_numpy(points)[labels], moved(kinds, points)
    assert float((z * move).sum(dim=-1).abs().max()) < 1e-14  # along the sphere

    def value(angle):
        now = z + angle * move
        return pauc_of_rows(now / now.norm(dim=-1, keepdim=True), labels, temperature=0.6, prototypes=1.3,
                            alignment=0.7, uniformity=0.9, correlation=0.4, t=1.7)  # fmt: skip

    second = torch.func.grad(torch.func.grad(value))(torch.zeros((), dtype=torch.float64)) / move.square().sum()
    numbers = {symbols[name]: value for name, value in VALUES.items()} | {symbols["s"]: -1 / (K - 1)}
    shares = {share: formula.subs(numbers) for share, formula in shares_in(symbols).items()}
    found = second_order(kinds, symbols).subs(shares).subs(numbers)
    assert float(found) == pytest.approx(float(second), rel=1e-10)
