"""What views do to pictures, against ramps, hands and slow loops."""

import colorsys
import math

import pytest
import torch

from clopsim.training.pictures import APPLIED, GREY, cropped, jittered, mirrored, shifted
from clopsim.training.views import Views, two_views

HEIGHT, WIDTH = 12, 16


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=seeded(seed), dtype=torch.float64)


def ramps(batch):
    """Pictures whose two channels are the coordinates of a pixel, from -1 to 1 at the edges: (1, B, 2, H, W)."""
    across = (2 * torch.arange(WIDTH, dtype=torch.float64) + 1) / WIDTH - 1
    down = (2 * torch.arange(HEIGHT, dtype=torch.float64) + 1) / HEIGHT - 1
    both = torch.stack([across.expand(HEIGHT, -1), down[:, None].expand(-1, WIDTH)])
    return both.expand(1, batch, -1, -1, -1)


@pytest.mark.parametrize("smallest", (0.2, 0.8))
def test_a_crop_is_a_rectangle_inside_the_picture_of_the_stated_share(smallest):
    """A linear picture is interpolated exactly, so its view shows where every pixel comes from."""
    shown = cropped(ramps(2000), uniform(2, 2000, 4), smallest)
    assert shown.shape == (2, 2000, 2, HEIGHT, WIDTH)
    assert float(shown.abs().max()) <= 1
    inner = shown[..., 1:-1, 1:-1]  # at the border the picture has no more to interpolate
    steps = [inner[:, :, 0].diff(dim=-1), inner[:, :, 1].diff(dim=-2)]
    for step in steps:
        torch.testing.assert_close(step, step[..., :1, :1].expand_as(step), rtol=0, atol=1e-12)
    wide, high = steps[0][..., 0, 0] * WIDTH / 2, steps[1][..., 0, 0] * HEIGHT / 2  # shares of the sides
    assert float(torch.maximum(wide, high).max()) <= 1 + 1e-12
    area, ratio = wide * high, wide / high
    assert float(area.min()) >= smallest - 1e-12
    assert float(area.mean()) == pytest.approx((smallest + 1) / 2, abs=0.02)
    assert float(ratio.max()) <= 4 / 3 + 1e-9
    assert float(ratio.min()) >= 3 / 4 - 1e-9
    if smallest == 0.2:
        free = (wide < 1) & (high < 1)
        assert float(area[free].max()) > 0.95
        assert float((wide[free] / high[free]).log().mean()) == pytest.approx(0, abs=0.01)
    centre = inner[:, :, 0].mean(dim=(-1, -2)) / (1 - wide).clamp(min=1e-9)
    assert float(centre[wide < 0.9].abs().max()) <= 1 + 1e-9
    assert float(centre[wide < 0.9].std()) == pytest.approx(3**-0.5, rel=0.05)  # uniform


def test_half_of_the_views_are_mirrored():
    x = uniform(1, 1000, 3, 4, 5)
    views = mirrored(x, uniform(2, 1000, seed=1))
    kept = (views == x).flatten(2).all(dim=2)
    turned = (views == x.flip(-1)).flatten(2).all(dim=2)
    assert bool((kept ^ turned).all())
    assert float(kept.double().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_shift_moves_down_and_right_and_the_smallest_value_in():
    x = uniform(1, 1, 2, HEIGHT, WIDTH)
    moved = shifted(x, torch.tensor([1, 2]).view(1, 2, 1, 1), 2)
    assert torch.equal(moved[..., 1:, 2:], x[..., :-1, :-2])
    assert bool((moved[..., :1, :] == x.min()).all())
    assert bool((moved[..., :2] == x.min()).all())


def chance(**given):
    """Chances that leave a view as it is, but for those given."""
    order = ("brightness", "contrast", "saturation", "hue", "applied", "grey")
    values = {**dict.fromkeys(order, 0.5), "applied": 0.0, "grey": 0.9, **given}
    return torch.tensor([values[name] for name in order], dtype=torch.float64)[None, None]


def one(picture, strength=0.5, black=0.0, white=1.0, **given):
    return jittered(picture[None, None], chance(**given), strength, black=black, white=white)[0, 0]


def test_every_colour_by_hand():
    x = 0.3 + 0.3 * uniform(3, 4, 5)
    same = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(one(x), x, **same)
    torch.testing.assert_close(one(x, brightness=1.0), 1.4 * x, **same)  # 1 + 0.8 x 0.5
    torch.testing.assert_close(one(x, contrast=0.0), x.mean() + 0.6 * (x - x.mean()), **same)
    level = x.mean(dim=0)
    torch.testing.assert_close(one(x, saturation=1.0), level + 1.4 * (x - level), **same)
    torch.testing.assert_close(one(x, grey=0.0), level.expand(3, -1, -1), **same)
    torch.testing.assert_close(one(x, brightness=1.0, applied=0.9), x, **same)
    assert float(one(x, strength=5.0, brightness=1.0).max()) == 1  # no lighter than white
    assert float(one(x, strength=5.0, brightness=0.0).abs().max()) == 0  # a factor is no less than 0
    flat = torch.full_like(x, 7.0)
    assert torch.equal(one(flat, black=7.0, white=7.0, brightness=1.0), flat)
    far = one(20 + 10 * x, black=20.0, white=30.0, brightness=1.0)
    torch.testing.assert_close(far, 20 + 14 * x, **same)


def test_the_hue_turns_about_the_greys():
    """A pure colour a little off grey: its hue in HSV moves by the stated part of a circle."""
    for share in (0.25, 1.0):
        red = torch.tensor([0.6, 0.5, 0.5], dtype=torch.float64)[:, None, None]
        turned = one(red, strength=0.5, hue=share)[:, 0, 0]
        part = 0.1 * (2 * share - 1)  # of a circle; at share 1 a tenth
        assert float(turned.mean()) == pytest.approx(float(red.mean()))
        assert float((turned - turned.mean()).norm()) == pytest.approx(float((red - red.mean()).norm()))
        away = red[:, 0, 0] - red.mean()
        cosine = torch.cosine_similarity(turned - turned.mean(), away, dim=0)
        assert float(cosine) == pytest.approx(math.cos(2 * math.pi * part))
        hue = (colorsys.rgb_to_hsv(*turned.tolist())[0] + 0.5) % 1 - 0.5
        assert hue == pytest.approx(part, abs=0.02)  # HSV's hexagon is no circle


def test_shares_of_jittered_and_grey_views():
    x = uniform(1, 3000, 3, 2, 2)
    views = jittered(x, uniform(2, 3000, 6, seed=1), 0.5, black=0.0, white=1.0)
    assert float(views.min()) >= 0
    assert float(views.max()) <= 1
    grey = ((views - views.mean(dim=2, keepdim=True)).abs() < 1e-12).flatten(2).all(dim=2).double().mean()
    kept = ((views - x).abs() < 1e-12).flatten(2).all(dim=2).double().mean()
    assert float(grey) == pytest.approx(GREY, abs=0.02)
    assert float(kept) == pytest.approx((1 - APPLIED) * (1 - GREY), abs=0.02)


def test_grey_pictures_have_brightness_and_contrast_alone():
    x = uniform(1, 10, 1, 3, 3)
    views = jittered(x, uniform(2, 10, 6, seed=1), 0.5, black=0.0, white=1.0)
    assert views.shape == (2, 10, 1, 3, 3)
    assert not torch.equal(views[0], views[1])


ALL = Views("images", 0.1, 2, crop=0.2, flip=True, jitter=0.5, black=-1.0, white=2.0)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
@pytest.mark.parametrize("channels", (1, 3))
def test_all_of_it_together_from_the_generator_alone(dtype, channels):
    x = torch.randn(8, channels, 8, 8, generator=seeded(), dtype=dtype)
    once, again, other = (two_views(x, ALL, seeded(seed)) for seed in (3, 3, 4))
    for k in range(2):
        assert (once[k].shape, once[k].dtype) == (x.shape, dtype)
        assert torch.equal(once[k], again[k])
        assert not torch.equal(once[k], other[k])
    assert not torch.equal(*once)
    there = two_views(torch.empty_like(x, device="meta"), ALL)
    assert {(view.device.type, view.shape) for view in there} == {("meta", x.shape)}


@pytest.mark.parametrize("part", ({"crop": 0.5}, {"flip": True}, {"jitter": 0.5}), ids=str)
def test_each_alone(part):
    x = torch.rand(50, 3, 8, 8, generator=seeded(), dtype=torch.float64)
    first, second = two_views(x, Views("images", 0.0, 0, **part), seeded(1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, x)
