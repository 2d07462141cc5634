import pytest
import torch

from clopsim.training.views import Views, two_views


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_vectors_get_independent_noise_of_the_stated_size():
    x = torch.arange(20_000.0).reshape(2000, 10)
    first, second = (view - x for view in two_views(x.double(), Views("vectors", 0.2), seeded()))
    assert float(first.std()) == pytest.approx(0.2, rel=0.02)
    assert abs(float((first * second).mean())) < 0.001
    for view in two_views(x, Views("vectors", 0.0), seeded()):
        assert torch.equal(view, x)


def test_lines_have_x_and_minus_x_plus_noise():
    x = torch.randn(1000, 3, generator=seeded(), dtype=torch.float64)
    first, second = two_views(x, Views("lines", 0.1), seeded())
    assert torch.equal(first, x)
    assert float((second + x).std()) == pytest.approx(0.1, rel=0.05)


def test_rows_of_a_table_are_the_two_views():
    first, second = two_views(torch.tensor([0, 4]), Views("rows", rows=10))
    assert first.tolist() == [0, 4]
    assert second.tolist() == [10, 14]


def by_hand(picture, down, right):
    """One picture (C, H, W) moved pixel by pixel; what moves in is its smallest value."""
    moved = torch.full_like(picture, float(picture.min()))
    _, height, width = picture.shape
    for i in range(height):
        for j in range(width):
            if 0 <= i + down < height and 0 <= j + right < width:
                moved[:, i + down, j + right] = picture[:, i, j]
    return moved


def test_images_move_by_whole_pixels_every_way_and_each_by_itself():
    x = torch.rand(200, 2, 5, 4, generator=seeded(), dtype=torch.float64) - 0.3
    seen = set()
    for view in two_views(x, Views("images", 0.0, shift=1), seeded()):
        for before, after in zip(x, view, strict=True):
            moves = [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if torch.equal(by_hand(before, d, r), after)]
            assert len(moves) == 1
            seen.add(moves[0])
    assert len(seen) == 9


def test_images_have_noise_too_and_shift_0_leaves_them():
    x = torch.zeros(100, 1, 8, 8)
    first, second = two_views(x, Views("images", 0.3, shift=1), seeded())
    assert float(first.std()) == pytest.approx(0.3, rel=0.05)
    assert not torch.equal(first, second)
    x = torch.rand(3, 1, 4, 4, generator=seeded())
    assert torch.equal(two_views(x, Views("images", 0.0, shift=0), seeded())[0], x)


@pytest.mark.parametrize("kind", ("vectors", "images", "lines"))
def test_the_generator_decides_and_the_global_state_does_not(kind):
    x = torch.rand(6, 1, 4, 4, generator=seeded()) if kind == "images" else torch.rand(6, 5, generator=seeded())
    spec = Views(kind, 0.1, shift=1)
    torch.manual_seed(1)
    once = two_views(x, spec, seeded(3))
    torch.manual_seed(2)
    again = two_views(x, spec, seeded(3))
    other = two_views(x, spec, seeded(4))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[1], other[1])
    assert once[1].dtype == x.dtype


@pytest.mark.parametrize("kind", ("vectors", "images", "lines"))
def test_on_the_meta_device(kind):
    x = torch.empty(6, 1, 4, 4, device="meta")
    for view in two_views(x, Views(kind, 0.1, shift=1)):
        assert (view.device.type, view.shape) == ("meta", x.shape)
