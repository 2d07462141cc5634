"""Small networks of one shape as one: parameters stacked along a first axis, one step for all, what they are worth."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import stack_module_state

from clopsim.losses import OrthonormalPrototypes
from clopsim.metrics import geometry
from clopsim.sphere.devices import DTYPES
from clopsim.training import evaluation
from clopsim.training.batches import Draw, draw, drawn_views
from clopsim.training.datasets import DataSet
from clopsim.training.embedders import build
from clopsim.training.observation import observed_views
from clopsim.training.optimizers import at_rest, update
from clopsim.training.recipe import Training
from clopsim.training.replay import Now, Recorder, Replay, recorder
from clopsim.training.stack.loss import has_closed_form, stacked_loss, stacked_prototype_term
from clopsim.training.stack.network import stacked_network
from clopsim.training.trainee import autocast, directions_of

OBSERVABLES = (
    "loss", "effective_rank", "mean_resultant_length", "leading_share", "view_cosine", "squared_norm",
    "embedding_variance",
)  # fmt: skip
ACCURACIES = ("knn", "linear_probe")


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
        self.device, dtype = data.y.device, DTYPES[self.recipe.precision]
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
        with autocast(self.recipe, self.device):
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
        draws = [draw(data, recipe, self.steps) for data, recipe in self.sources]
        self._once(draws, self._factor(self.steps), self.steps)
        self.steps += 1

    def by_step(self, count: int) -> None:
        """So many steps, each launched from the host."""
        for _ in range(count):
            self.step()

    def runner(self) -> Callable[[int], None]:
        """What makes so many steps: by replay where the device and the loss allow it."""
        record = recorder(self.recipe, self.device)
        return self.by_replay(record) if record else self.by_step

    def by_replay(self, record: Recorder) -> Callable[[int], None]:
        """What makes so many steps by replaying a recorded one; the stack is its own no more."""
        changed = [*self.params.values(), *self.moments.velocity.values(), *self.moments.squares.values()]

        def once(now: Now) -> Tensor:
            return self._once(now.draws, now.rate, now.step)

        value = self.rate.new_zeros(self.members)
        replay = Replay(once, changed, self.sources, rate=self._factor, value=value, record=record)

        def advance(count: int) -> None:
            replay.run(self.steps, count)
            self.steps += count

        return advance

    def _factor(self, step: int) -> float:
        """What the schedule makes of every rate."""
        return self.recipe.rate_at(step) / self.recipe.rate

    def _once(self, draws: Sequence[Draw], factor: Tensor | float, step: Tensor | int) -> Tensor:
        """A step on these samples and views, in place; the losses before it, (M,)."""
        pairs = [drawn_views(data, drawn) for drawn, (data, _) in zip(draws, self.sources, strict=True)]
        x = self._for_members([torch.cat(pair) for pair in pairs])
        labels = self.labels
        if draws[0].samples is not None:
            index = torch.stack([drawn.samples for drawn in draws if drawn.samples is not None])[self.of_seed]
            labels = labels.gather(1, index)
        values = self.losses(self.embed(x), labels)
        gradients = torch.autograd.grad(values.sum(), list(self.params.values()))
        rate = self.rate * factor
        with torch.no_grad():
            if self.recipe.optimizer == "sgd":
                self._descend(gradients, rate)
            else:
                self._update(dict(zip(self.params, gradients, strict=True)), rate, step)
        return values.detach()

    def _descend(self, gradients: tuple[Tensor, ...], rate: Tensor) -> None:
        """SGD, in place: v <- momentum v + g + w p, p <- p - mu v."""
        speeds = list(self.moments.velocity.values())
        torch._foreach_mul_(speeds, self.recipe.momentum)
        torch._foreach_add_(speeds, gradients)
        for value, velocity in zip(self.params.values(), speeds, strict=True):
            each = (-1, *[1] * (value.ndim - 1))
            velocity.addcmul_(self.weight_decay.view(each), value)
            value.addcmul_(rate.view(each), velocity, value=-1)

    def _update(self, gradient: dict[str, Tensor], rate: Tensor, step: Tensor | int) -> None:
        """The other optimisers, by their pure function."""
        moved, moments = update(
            self.params,
            self.moments,
            gradient,
            optimizer=self.recipe.optimizer,
            step=step,
            rate=rate,
            momentum=self.recipe.momentum,
            weight_decay=self.weight_decay,
            stacked=True,
        )
        for old, new in (
            (self.params, moved),
            (self.moments.velocity, moments.velocity),
            (self.moments.squares, moments.squares),
        ):
            if old:
                torch._foreach_copy_(list(old.values()), list(new.values()))

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
            with autocast(self.recipe, self.device):
                embeddings = evaluation.embeddings_of(network, data)
            found = evaluation.accuracies(data, embeddings)
            scores.append([found[name] for name in ACCURACIES])
        return torch.from_numpy(np.array(scores, dtype=np.float64).T)  # None: nan

    def _for_members(self, of_seeds: list[Tensor]) -> Tensor:
        """What each seed has, for its members; one seed's for all of them."""
        return of_seeds[0] if len(of_seeds) == 1 else torch.stack(of_seeds)[self.of_seed]


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
