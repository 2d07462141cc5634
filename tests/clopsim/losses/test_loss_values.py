"""Values known by hand, states known to be stationary, curvatures of the docstrings, other people's losses."""

import math
from typing import get_args

import pytest
import torch

from clopsim.bounds import Setting
from clopsim.losses import (
    CLOP,
    LOSSES,
    LossName,
    OrthonormalPrototypes,
    barlow_twins,
    by_name,
    dcl,
    info_nce,
    prototype_term,
    supcon,
    vicreg,
)
from clopsim.losses.views import unit_rows
from clopsim.sphere.gradient import contrastive_loss

NAMES = get_args(LossName)
COSINE = [name for name in NAMES if LOSSES[name].cosine_only]
LINES = [name for name in COSINE if not LOSSES[name].fixed_directions]


def line(batch, *, views_differ, samples=6, dimension=5):
    """Raw rows of many lengths on one line through the origin, and labels; no class adds up to 0."""
    first, _, labels = batch(samples, dimension, seed=3)
    direction = first[0] / first[0].norm()
    signs = torch.tensor([1.0, 1, -1, 1, 1, -1], dtype=torch.float64)
    lengths = torch.linspace(0.5, 2, samples, dtype=torch.float64)
    one = (signs * lengths)[:, None] * direction
    return one, (one.flip(0) if views_differ else 2 * one), labels, direction


def gradients(loss, first, second, labels):
    first, second = first.clone().requires_grad_(), second.clone().requires_grad_()
    return torch.autograd.grad(loss(first, second, labels), (first, second))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("temperature", (0.01, 0.5))
def test_value_at_complete_collapse_is_the_registered_one(name, temperature, batch):
    d = (
        5 if not LOSSES[name].fixed_directions else 3
    )  # such a loss has one value only where every direction is a class's
    point = batch(6, d)[0][:1].expand(6, d)
    for classes in (1, 2, 3)[-1 if LOSSES[name].fixed_directions else 0 :]:
        value = by_name(name, temperature=1.0 if name == "lorac" else temperature)(
            point, point, torch.arange(6) % classes
        )  # lorac's default
        assert float(value) == pytest.approx(LOSSES[name].at_collapse(6, d, classes), rel=1e-12, abs=1e-12)
    if name == "infonce":
        assert float(value) == pytest.approx(math.log(2 * 6 - 1), rel=1e-12)


def test_two_samples_at_right_angles_by_hand():
    x = torch.eye(2, dtype=torch.float64)
    e, tau = math.e, 1.0  # each anchor: positive cosine 1, two negatives with cosine 0
    assert float(info_nce(x, 3 * x, temperature=tau)) == pytest.approx(math.log((e + 2) / e), rel=1e-14)
    assert float(dcl(x, 3 * x, temperature=tau)) == pytest.approx(math.log(2) - 1, rel=1e-14)
    same = torch.zeros(2, dtype=torch.long)  # positives: cosines 1, 0, 0
    assert float(supcon(x, x, same, temperature=tau)) == pytest.approx(math.log(e + 2) - 1 / 3, rel=1e-14)
    assert float(supcon(x, x, same, temperature=tau, form="in")) == pytest.approx(math.log(3), rel=1e-14)


def test_vicreg_and_barlow_by_hand():
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)  # Var and Cov 2 unbiased, 1 biased
    assert float(vicreg(x, x)) == pytest.approx(2 * (2 * 2**2) / 2, rel=1e-14)  # covariance alone, both views
    assert float(vicreg(x, -x)) == pytest.approx(8 + 25 * 4, rel=1e-14)
    c = 1 / (1 + 1e-5)
    assert float(barlow_twins(x, x)) == pytest.approx(2 * (c - 1) ** 2 + 0.0051 * 2 * c**2, rel=1e-12)
    assert float(barlow_twins(x, -x)) == pytest.approx(2 * (c + 1) ** 2 + 0.0051 * 2 * c**2, rel=1e-12)


@pytest.mark.parametrize("distance, value", (("cosine", 1.0), ("euclidean", math.sqrt(2) / 2), ("manhattan", 1.0)))
def test_a_sample_at_right_angles_to_its_prototype(distance, value):
    c = torch.eye(2, dtype=torch.float64)
    labels = torch.tensor([0, 1, -1])
    wrong, right = torch.stack([c[1], c[0], c[0]]), torch.stack([5 * c[0], c[1], c[1]])
    assert float(prototype_term(wrong, None, labels, prototypes=c, distance=distance)) == pytest.approx(value)
    assert float(prototype_term(wrong, right, labels, prototypes=c, distance=distance)) == pytest.approx(value / 2)
    assert float(prototype_term(right, None, labels, prototypes=c, distance=distance)) == 0


@pytest.mark.parametrize("reduction", ("mean", "sum"))
def test_info_nce_is_the_full_loss_of_the_theory(reduction, batch):
    first, second, _ = batch()
    z = torch.cat([first, second])
    z = z / z.norm(dim=-1, keepdim=True)
    theory = contrastive_loss(z, 0.3, Setting(0.3, 5, 12, loss="full", reduction=reduction))
    assert float(info_nce(first, second, temperature=0.3, reduction=reduction)) == pytest.approx(float(theory), 1e-14)


@pytest.mark.parametrize("loss", (info_nce, supcon, dcl))
def test_sum_is_twice_the_samples_times_the_mean(loss, batch):
    first, second, labels = batch(6)
    both = [float(loss(first, second, labels, reduction=reduction)) for reduction in ("sum", "mean")]
    assert both[0] == pytest.approx(12 * both[1], rel=1e-14)


@pytest.mark.parametrize("form", ("out", "in"))
def test_supcon_without_labels_is_info_nce_even_in_its_gradient(form, batch):
    """The other view is always a positive: no anchor is ever without one."""
    first, second, _ = batch()
    nobody = torch.full((6,), -1)
    wanted = gradients(lambda a, b, _: info_nce(a, b, temperature=0.1), first, second, nobody)
    for labels in (None, nobody, torch.arange(6)):
        found = gradients(lambda a, b, y: supcon(a, b, y, form=form), first, second, labels)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


def rounding(name, first, second, labels):
    """1e-14 of what cancels there: the gradient without the normalisation."""
    z = unit_rows(torch.cat([first, second])).requires_grad_()
    options = {"temperature": 0.5} if LOSSES[name].takes_temperature else {}
    (ambient,) = torch.autograd.grad(LOSSES[name].of_rows(z, torch.cat([labels, labels]), **options), z)
    return 1e-14 * max(1.0, float(ambient.abs().max()))


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("views_differ", (False, True))
def test_a_line_is_stationary_for_losses_of_the_cosines(name, views_differ, batch):
    """T1."""
    first, second, labels, _ = line(batch, views_differ=views_differ)
    loss = by_name(name, temperature=0.5)
    for gradient in gradients(loss, first, second, labels):
        assert float(gradient.abs().max()) < rounding(name, first, second, labels)
    elsewhere = gradients(loss, *batch())
    assert float(elsewhere[0].abs().max()) > 1e-3  # the test can fail


@pytest.mark.parametrize("views_differ", (False, True))
def test_a_line_is_not_stationary_for_losses_with_fixed_directions(views_differ, batch):
    first, second, labels, _ = line(batch, views_differ=views_differ)
    for name in set(COSINE) - set(LINES):
        found = gradients(by_name(name, temperature=0.5), first, second, labels)
        assert float(found[0].abs().max()) > 0.1


@pytest.mark.parametrize("views_differ", (False, True))
def test_a_line_is_not_stationary_for_vicreg(views_differ, batch):
    first, second, labels, _ = line(batch, views_differ=views_differ)
    found = gradients(lambda a, b, y: vicreg(unit_rows(a), unit_rows(b), y), first, second, labels)
    assert float(found[0].abs().max()) > 0.1


def test_a_line_with_views_that_differ_is_not_stationary_for_barlow(batch):
    first, second, labels, _ = line(batch, views_differ=True)
    found = gradients(lambda a, b, y: barlow_twins(unit_rows(a), unit_rows(b), y), first, second, labels)
    assert float(found[0].abs().max()) > 0.1


@pytest.mark.parametrize("name", LINES)
def test_the_prototypes_pull_a_line_apart_by_exactly_their_tangent_part(name, batch):
    """At a rank-1 state the base has no gradient, so CLOP's is -weight/(2 |S|) (c - (c.z) z) / |u| in each row."""
    first, second, labels, direction = line(batch, views_differ=True)
    prototypes = OrthonormalPrototypes(3, 5, dtype=torch.float64)
    loss = CLOP(by_name(name, temperature=0.5), prototypes, 0.7)
    labelled = labels >= 0
    c = prototypes.vectors[labels.clamp(min=0)]
    tangent = c - (c @ direction)[:, None] * direction
    for view, found in zip((first, second), gradients(loss, first, second, labels), strict=True):
        wanted = -0.7 / (2 * int(labelled.sum())) * tangent / view.norm(dim=1, keepdim=True) * labelled[:, None]
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=rounding(name, first, second, labels))
        assert float(found.abs().max()) > 1e-2


def curvatures(loss, first, second):
    """Eigenvalues of the Hessian in both views together."""
    shape = (2, *first.shape)

    def flat(x):
        return loss(*x.view(shape))

    hessian = torch.func.jacrev(torch.func.jacrev(flat))(torch.stack([first, second]).reshape(-1))
    return torch.linalg.eigvalsh(hessian)


def test_curvatures_of_the_docstrings(batch):
    samples, dimension = 5, 3
    point = batch(1, dimension)[0].expand(samples, dimension)
    unit = point / point.norm(dim=1, keepdim=True)
    apart = curvatures(lambda a, b: dcl(a, b, temperature=0.3, reduction="sum"), unit, unit)
    assert float(apart[-1]) == pytest.approx(2 / 0.3, rel=1e-10)  # two over it: a rate of tau
    lowest = curvatures(vicreg, point, point)[0]
    assert float(lowest) == pytest.approx(-25 / (2 * dimension * 1e-2 * (samples - 1)), rel=1e-10)
    extremes = curvatures(barlow_twins, point, point)
    assert float(extremes[0]) == pytest.approx(-2 / (samples * 1e-5), rel=1e-8)
    assert float(extremes[-1]) == pytest.approx(2 / (samples * 1e-5), rel=1e-8)
    c = torch.eye(3, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, -1, -1])
    there = c[labels.clamp(min=0)]
    sharpness = curvatures(lambda a, b: prototype_term(a, b, labels, prototypes=c), there, there)[-1]
    assert float(sharpness) == pytest.approx(1 / (2 * 3), rel=1e-12)


def test_no_labelled_sample_is_the_base_loss_alone(batch):
    first, second, _ = batch()
    prototypes = OrthonormalPrototypes(3, 5, dtype=torch.float64)
    nobody = torch.full((6,), -1)
    assert float(prototype_term(first, second, nobody, prototypes=prototypes.vectors)) == 0
    base = by_name("infonce", temperature=0.2)
    wanted = gradients(base, first, second, None)
    for labels in (nobody, None):
        found = gradients(CLOP(base, prototypes, 5.0), first, second, labels)
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("base", NAMES)
@pytest.mark.parametrize("distance", ("cosine", "euclidean", "manhattan"))
def test_clop_is_the_base_plus_the_weight_times_the_term(base, distance, batch):
    first, second, labels = batch()
    prototypes = OrthonormalPrototypes(3, 5, dtype=torch.float64)
    loss = by_name(base, temperature=0.2)
    term = prototype_term(first, second, labels, prototypes=prototypes.vectors, distance=distance)
    value = CLOP(loss, prototypes, 1.5, distance=distance)(first, second, labels)
    assert float(value) == pytest.approx(float(loss(first, second, labels)) + 1.5 * float(term), rel=1e-14)


@pytest.mark.parametrize("name", [name for name in NAMES if LOSSES[name].of_rows is not None])
def test_the_formula_on_unit_rows_is_the_loss_without_its_normalisation(name, batch):
    first, second, labels = batch(6, 5, seed=2)
    options = {"temperature": 0.4} if LOSSES[name].takes_temperature else {}
    z = unit_rows(torch.cat([first, second])).requires_grad_()
    value = LOSSES[name].of_rows(z, torch.cat([labels, labels]), **options)
    whole = LOSSES[name].loss(3 * z[:6], z[6:], labels, **options)
    torch.testing.assert_close(value, whole, rtol=1e-13, atol=0)
    (ambient,) = torch.autograd.grad(value, z)
    (tangent,) = torch.autograd.grad(LOSSES[name].loss(z[:6], z[6:], labels, **options), z)
    radial = (z * ambient).sum(dim=-1, keepdim=True)
    assert radial.abs().max() > 1e-3  # nothing was projected
    torch.testing.assert_close(ambient - radial * z, tangent, rtol=0, atol=1e-12)


def test_every_loss_of_cosines_has_its_formula_on_unit_rows():
    assert [name for name in NAMES if LOSSES[name].cosine_only and LOSSES[name].of_rows is None] == []


def test_barlow_twins_forgets_the_scale_of_a_coordinate_down_to_the_spread_that_its_docstring_names():
    x = torch.randn(64, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = float(barlow_twins(x, x))
    assert float(barlow_twins(2 * x + 4, 2 * x + 4)) == pytest.approx(expected, abs=1e-5)
    assert float(barlow_twins(0.03 * x, 0.03 * x)) == pytest.approx(expected, abs=0.01)  # of a loss up to d
    assert float(barlow_twins(0.001 * x, 0.001 * x)) > expected + 4
