"""Products by NumPy are torch's, and workers share no library's threads."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from clopsim.sphere import products


@pytest.fixture(params=("numpy", "torch"))
def maker(request, monkeypatch):
    """Both ways to make a product; a GPU's is torch's."""
    if request.param == "torch":
        monkeypatch.setattr(products, "BY_NUMPY", frozenset())


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


@pytest.mark.usefixtures("maker")
@pytest.mark.parametrize("right", [(4, 5), (3, 4, 5), (4, 1)], ids=str)
def test_products_are_those_of_torch(right):
    left, right = numbers(3, 2, 4).requires_grad_(), numbers(*right)
    expected = torch.einsum("mij,...jk->mik" if right.ndim == 2 else "mij,mjk->mik", left.detach(), right)
    torch.testing.assert_close(products.product(left, right), expected)
    torch.testing.assert_close(products.product(right.mT, left.mT), expected.mT)
    right = right.expand(3, *right.shape[-2:])
    wide = torch.zeros(3, 4, expected.shape[2], dtype=torch.float64)
    found = products.product(left.detach(), right, out=wide[:, 1:3])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(wide[:, 1:3], expected)
    products.prepared(left.detach(), 2 * right, wide[:, 1:3])()
    torch.testing.assert_close(wide[:, 1:3], 2 * expected)
    assert not wide[:, 0].any()


@pytest.mark.usefixtures("maker")
def test_dots_are_sums_over_the_last_axis_and_stay_what_is_not_finite():
    left, right = numbers(3, 2, 4).requires_grad_(), numbers(3, 2, 4)
    torch.testing.assert_close(products.dots(left, right), (left.detach() * right).sum(dim=-1, keepdim=True))
    right[1, 0, 0], right[2, 0, 0] = torch.inf, torch.nan
    bad = products.dots(left - left, right)[..., 0].isnan()  # 0 inf
    assert bad.tolist() == [[False, False], [True, False], [True, False]]
    assert products.product(left - left, right.mT)[1:].isnan().any(dim=2).all()


def test_every_worker_has_one_thread_of_blas():
    def threads(part: object = None) -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    before, own = threads(), torch.get_num_threads()
    with threadpool_limits(2, user_api="blas"):
        found = products.in_turn(lambda k: (k, threads(), torch.get_num_threads()), range(5), workers=2)
        assert found == [(k, {1}, 1) for k in range(5)]
        assert threads() == {2}
    assert threads() == before
    assert torch.get_num_threads() == own


def test_a_failing_part_leaves_the_threads_as_they_were():
    own = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        products.in_turn(lambda k: 1 / k, [1, 0], workers=2)
    assert torch.get_num_threads() == own
    assert np.geterr()["invalid"] != "ignore"
