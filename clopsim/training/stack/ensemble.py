"""Many small networks trained together: stacked parameters, one program for all of them, a thread for every core.

A member is a training recipe. Members that share a stack may differ in SHARED_NOT only; their weights, batches and
views come from their own seed, so a member is what it would be alone, to rounding, whichever others there are. One
whose loss leaves the finite numbers stays nan and touches no other.
"""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import stack_module_state

from clopsim.losses import OrthonormalPrototypes
from clopsim.metrics import geometry
from clopsim.sphere.dynamics import recorded_steps
from clopsim.training import evaluation
from clopsim.training.batches import views_of
from clopsim.training.datasets import DataSet, load
from clopsim.training.embedders import build
from clopsim.training.observation import observed_views
from clopsim.training.optimizers import at_rest, update
from clopsim.training.recipe import Training
from clopsim.training.stack.loss import has_closed_form, stacked_loss, stacked_prototype_term
from clopsim.training.stack.network import stacked_network
from clopsim.training.trainee import directions_of

SHARED_NOT = frozenset({
    "rate", "weight_decay", "weight", "prototypes", "temperature", "labelled", "label_noise", "seed",
})  # fmt: skip
"""Fields in which members of a stack may differ; of prototypes either the one kind or none."""

ROWS = range(2**12, 2**13 + 1)
"""Rows that a stack passes through its networks at once: with fewer Python is the cost, more leave the cache."""

GPU_ROWS = range(2**18, 2**18 + 1)
"""The same on any other device, which needs much work at once to be busy; a choice, not measured."""

PARTS = 8
"""Stacks that the members are shared out to while each has rows enough, so that as many workers have one; fixed, since
a member's last digits depend on its stack."""

RECORDS = 4
"""Per decade of steps: a record costs as much as several steps."""

OBSERVABLES = (
    "loss", "effective_rank", "mean_resultant_length", "leading_share", "view_cosine", "squared_norm",
    "embedding_variance",
)  # fmt: skip
ACCURACIES = ("knn", "linear_probe")

Floats = NDArray[np.float64]


class Trained(NamedTuple):
    """What became of the members, in their order; nan: not finite, or nothing held out to measure it on."""

    steps: tuple[int, ...]  # recorded
    observables: dict[str, Floats]  # OBSERVABLES, (members, steps)
    accuracies: dict[str, Floats]  # ACCURACIES on held-out data at the end, (members,)


def train_together(
    recipes: Sequence[Training],
    *,
    device: torch.device | str = "cpu",
    workers: int | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Trained:
    """Train every recipe to its last step.

    workers: threads on a CPU, by default as many as torch uses, each with a share of the members; another device takes
    one share after the other. The result is the same, bit for bit, for any number. on_progress gets the share of the
    work that is done, from any thread.

    Errors: ValueError if the recipes differ in a field that a stack shares, or about the data.
    """
    device = torch.device(device)
    _check(recipes)
    loaded = _load(recipes, device)
    rows = 2 * (recipes[0].batch or len(loaded[0].y))
    parts = parts_of([recipe.seed for recipe in recipes], rows=rows, at_once=ROWS if device.type == "cpu" else GPU_ROWS)
    steps, lock, done = recorded_steps(recipes[0].steps, per_decade=RECORDS), Lock(), 0

    def report(members: int) -> None:
        nonlocal done
        with lock:
            done += members
            on_progress(done / (len(recipes) * recipes[0].steps))

    def take(part: list[int]) -> tuple[Tensor, Tensor]:
        stack = Stack([recipes[m] for m in part], [loaded[m] for m in part])
        records = []
        for stop in steps:
            before = stack.steps
            while stack.steps < stop:
                stack.step()
            records.append(stack.observe())
            report((stop - before) * len(part))
        return torch.stack(records, dim=-1), stack.accuracies()  # (observables, members, steps), (accuracies, members)

    if device.type == "cpu":
        threads = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(workers or threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                results = list(pool.map(take, parts))
        finally:
            torch.set_num_threads(threads)  # the workers' setting reaches MKL in every thread
    else:
        results = [take(part) for part in parts]
    order = np.argsort(np.concatenate(parts))
    values = torch.cat([records for records, _ in results], dim=1).numpy()[:, order]
    scores = torch.cat([scores for _, scores in results], dim=1).numpy()[:, order]
    return Trained(steps, dict(zip(OBSERVABLES, values, strict=True)), dict(zip(ACCURACIES, scores, strict=True)))


class Stack:
    """Networks of one shape, their parameters stacked along a first axis, advanced in place."""

    def __init__(self, recipes: Sequence[Training], loaded: Sequence[DataSet]) -> None:
        """Fresh networks, each from its own seed; loaded: the data of each, the inputs a function of its seed."""
        self.recipe, self.members, self.steps = recipes[0], len(recipes), 0
        seeds = [recipe.seed for recipe in recipes]
        distinct = list(dict.fromkeys(seeds))
        first = [seeds.index(seed) for seed in distinct]
        self.sources = [(loaded[m], recipes[m]) for m in first]  # one for each seed
        data = loaded[0]
        self.device, dtype = data.y.device, torch.float64 if self.recipe.precision == "float64" else torch.float32
        self.of_seed = torch.tensor([distinct.index(seed) for seed in seeds], device=self.device)  # (M,)
        self.loaded = loaded
        self.labels = torch.stack([each.labels for each in loaded])  # (M, N)
        networks = [
            build(recipe.network, data.shape, samples=len(data.y), seed=recipe.seed, device=self.device, dtype=dtype)
            for recipe in recipes
        ]
        self.network = networks[0]  # functional_call borrows it, so no two threads may share one
        stacked, _ = stack_module_state(networks)
        self.params: dict[str, Tensor] = {name: value.detach().requires_grad_() for name, value in stacked.items()}
        self.moments = at_rest(self.params, self.recipe.optimizer)

        def column(name: str) -> Tensor:
            return torch.tensor([getattr(recipe, name) for recipe in recipes], dtype=dtype, device=self.device)

        self.rate, self.weight_decay, self.temperature = map(column, ("rate", "weight_decay", "temperature"))
        lowest = min(recipe.temperature for recipe in recipes)
        self.closed_form = has_closed_form(self.recipe.loss, temperature=lowest, dtype=dtype)
        plain = torch.tensor([recipe.prototypes == "none" for recipe in recipes], device=self.device)
        self.weight = torch.where(plain, 0.0, column("weight"))
        self.prototypes = _prototypes(recipes, data.classes, dtype, self.device)
        directions = [directions_of(recipe, data, device=self.device, dtype=dtype) for recipe in recipes]
        given = [each for each in directions if each is not None]
        self.directions = torch.stack(given) if given else None  # (M, K, d)
        self.views = [observed_views(recipe, source) for source, recipe in self.sources]

    def embed(self, x: Tensor) -> Tensor:
        """Raw embeddings (M, rows, d) of inputs (rows, ...) for all members or (M, rows, ...) for each its own."""

        return stacked_network(self.network, self.params, x, shared=len(self.sources) == 1)

    def losses(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of each member, (M,), prototypes included."""
        values = stacked_loss(
            embeddings,
            labels,
            self.temperature,
            loss=self.recipe.loss,
            closed_form=self.closed_form,
            directions=self.directions,
        )
        if self.prototypes is None:
            return values
        return values + self.weight * stacked_prototype_term(
            embeddings, labels, prototypes=self.prototypes, distance=self.recipe.distance
        )

    def step(self) -> None:
        """One step of the optimiser, every member with its own mu and w."""
        drawn = [views_of(data, recipe, self.steps) for data, recipe in self.sources]
        x = self._for_members([torch.cat([first, second]) for first, second, _ in drawn])
        labels = self.labels
        if drawn[0][2] is not None:
            index = torch.stack([index for _, _, index in drawn if index is not None])[self.of_seed]
            labels = labels.gather(1, index)
        values = self.losses(self.embed(x), labels)
        gradients = torch.autograd.grad(values.sum(), list(self.params.values()))
        factor = self.recipe.rate_at(self.steps) / self.recipe.rate
        with torch.no_grad():
            if self.recipe.optimizer == "sgd":
                self._descend(gradients, factor)
            else:
                self._update(dict(zip(self.params, gradients, strict=True)), self.rate * factor)
        self.steps += 1

    def _descend(self, gradients: tuple[Tensor, ...], factor: float) -> None:
        """SGD, in place: v <- momentum v + g + w p, p <- p - mu v."""
        speeds = list(self.moments.velocity.values())
        torch._foreach_mul_(speeds, self.recipe.momentum)
        torch._foreach_add_(speeds, gradients)
        for value, velocity in zip(self.params.values(), speeds, strict=True):
            each = (-1, *[1] * (value.ndim - 1))
            velocity.addcmul_(self.weight_decay.view(each), value)
            value.addcmul_(self.rate.view(each), velocity, value=-factor)

    def _update(self, gradient: dict[str, Tensor], rate: Tensor) -> None:
        """The other optimisers, by their pure function."""
        moved, self.moments = update(
            self.params,
            self.moments,
            gradient,
            optimizer=self.recipe.optimizer,
            step=self.steps,
            rate=rate,
            momentum=self.recipe.momentum,
            weight_decay=self.weight_decay,
            stacked=True,
        )
        self.params = {name: value.detach().requires_grad_() for name, value in moved.items()}

    @torch.no_grad()
    def observe(self) -> Tensor:
        """OBSERVABLES of every member now, (observables, M) float64 on the CPU."""
        batch = self.recipe.batch or self.labels.shape[1]
        halves: list[Tensor] = []
        losses = []
        for start in range(0, len(self.views[0][2]), batch):
            part = slice(start, start + batch)
            x = self._for_members([torch.cat([first[part], second[part]]) for first, second, _ in self.views])
            index = torch.stack([index[part] for _, _, index in self.views])[self.of_seed]
            embeddings = self.embed(x)
            losses.append(self.losses(embeddings, self.labels.gather(1, index)))
            halves.append(torch.stack(embeddings.chunk(2, dim=1), dim=1))
        raw = torch.cat(halves, dim=2).flatten(1, 2)  # (M, 2 observed, d)
        raw = raw if self.device.type == "mps" else raw.double()  # once for all observables
        z = geometry.unit(raw)
        resultant = geometry.mean_resultant_length(z)
        values = (
            torch.stack(losses).double().mean(dim=0),
            geometry.effective_rank(z),
            resultant,
            geometry.leading_share(z),
            1 - geometry.alignment(z) / 2,
            raw.square().sum(dim=-1).mean(dim=-1),
            1 - resultant.square(),
        )
        return torch.stack([value.double().cpu() for value in values])

    def accuracies(self) -> Tensor:
        """ACCURACIES of every member now, (accuracies, M) float64."""
        scores = []
        for m, data in enumerate(self.loaded):
            network = copy.deepcopy(self.network)
            network.load_state_dict({name: value[m] for name, value in self.params.items()})
            found = evaluation.accuracies(data, evaluation.embeddings_of(network, data))
            scores.append([found[name] for name in ACCURACIES])
        return torch.from_numpy(np.array(scores, dtype=np.float64).T)  # None: nan

    def _for_members(self, of_seeds: list[Tensor]) -> Tensor:
        """What each seed has, for its members; one seed's for all of them."""
        return of_seeds[0] if len(of_seeds) == 1 else torch.stack(of_seeds)[self.of_seed]


def _check(recipes: Sequence[Training]) -> None:
    """Refuse recipes that cannot share a stack."""
    if not recipes:
        raise ValueError("recipes must hold at least one, got none")
    if recipes[0].precision == "bfloat16" or recipes[0].compile:
        raise ValueError("precision must be float32 or float64 and compile off in a stack; use one run for these")
    for field in fields(Training):
        values = {getattr(recipe, field.name) for recipe in recipes}
        if field.name == "prototypes":
            values.discard("none")
        if len(values) > 1 and (field.name not in SHARED_NOT or field.name == "prototypes"):
            raise ValueError(f"{field.name} must be the same in a stack, got {sorted(values)}; train them in turn")


def _load(recipes: Sequence[Training], device: torch.device) -> list[DataSet]:
    """The data of every recipe; what is the same is loaded once."""
    dtype = torch.float64 if recipes[0].precision == "float64" else torch.float32
    same: dict[Training, DataSet] = {}
    keys = [replace(recipe, rate=1.0, weight_decay=0.0, weight=1.0, temperature=1.0) for recipe in recipes]
    for key in keys:
        if key not in same:
            same[key] = load(key, device=device, dtype=dtype)
    return [same[key] for key in keys]


def parts_of(seeds: Sequence[int], *, rows: int, at_once: range) -> list[list[int]]:
    """The members of each stack, a function of the seeds and the rows of a member's batch alone.

    A seed that fills a stack has its own, whose members share their inputs; the members of all others are mixed.
    """
    least, most = max(1, at_once[0] // rows), max(1, at_once[-1] // rows)
    of_seed: dict[int, list[int]] = {}
    for m, seed in enumerate(seeds):
        of_seed.setdefault(seed, []).append(m)
    groups = [members for members in of_seed.values() if len(members) >= least]
    groups.append([m for members in of_seed.values() if len(members) < least for m in members])
    parts: list[list[int]] = []
    for members in groups:
        share = -(-PARTS * len(members) // len(seeds))
        count = max(-(-len(members) // most), min(share, max(1, len(members) // least)))
        parts += [members[len(members) * k // count : len(members) * (k + 1) // count] for k in range(count)]
    return parts


def _prototypes(recipes: Sequence[Training], classes: int, dtype: torch.dtype, device: torch.device) -> Tensor | None:
    """The prototypes of every member, (M, K, d), those of plain ones unused; None where all are plain."""
    kinds = {recipe.prototypes for recipe in recipes if recipe.prototypes != "none"}
    if not kinds:
        return None
    (kind,) = kinds
    return torch.stack([
        OrthonormalPrototypes(
            classes, recipe.dimension, kind=kind, seed=recipe.seed, dtype=dtype, device=device
        ).vectors
        for recipe in recipes
    ])  # fmt: skip
