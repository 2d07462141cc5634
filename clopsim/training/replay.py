"""A training step recorded once and replayed: then its launches, a hundred or more, cost the host no more than one.

A recorded step reads what differs from step to step (samples, learning rate, its own number) from tensors, at a place
that it moves on by itself. Its views are drawn inside it, on the device, by generators that the host seeds before every
replay: it draws the numbers that a step launched from the host draws, and a resumed run needs no state of them.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.training.batches import Draw, batch_indices, view_seed
from clopsim.training.datasets import DataSet
from clopsim.training.recipe import Training

BLOCK = 100
"""Steps whose samples and rates are sent to the device together."""

Play = Callable[[], None]

Recorder = Callable[[Play, Sequence[torch.Generator]], Play]
"""Takes a step on fixed tensors and the generators in it; returns what does the same step again whenever it is called.

The step may be taken several times meanwhile.
"""


class Now(NamedTuple):
    """What a step is told, on the device."""

    draws: list[Draw]  # of every source
    rate: Tensor  # () float64
    step: Tensor  # () float64: steps before this one


class Replay:
    """Consecutive steps of a body that advances tensors in place."""

    def __init__(
        self,
        body: Callable[[Now], Tensor],
        changed: Sequence[Tensor],
        sources: Sequence[tuple[DataSet, Training]],
        *,
        rate: Callable[[int], float],
        value: Tensor,
        record: Recorder,
    ) -> None:
        """Nothing is recorded before the first step.

        body: makes one step and returns a tensor like value; it must not wait for the device. changed: every tensor
        that it changes. sources: data and recipe of every seed. rate: what now.rate is at a step.
        """
        self.body, self.changed, self.sources, self.rate, self.record = body, list(changed), sources, rate, record
        device = sources[0][0].y.device
        self.generators = [torch.Generator(device) for _ in sources]
        self.place = torch.zeros(1, dtype=torch.long, device=device)
        self.step = torch.zeros((), dtype=torch.float64, device=device)
        self.rates = torch.zeros(BLOCK, dtype=torch.float64, device=device)
        sizes = [recipe.batch or len(data.y) for data, recipe in sources]
        self.samples = [
            None if size == len(data.y) else torch.zeros(BLOCK, size, dtype=torch.long, device=device)
            for size, (data, _) in zip(sizes, sources, strict=True)
        ]
        self.values = value.new_zeros(BLOCK, *value.shape)
        self.play: Play | None = None

    def run(self, first: int, count: int) -> Tensor:
        """Steps first, first + 1, ... of the run; what the body returned, (count, ...)."""
        values = []
        for low in range(first, first + count, BLOCK):
            steps = range(low, min(low + BLOCK, first + count))
            if self.play is None:
                before = [tensor.detach().clone() for tensor in self.changed]
                self._send(steps)
                self.play = self.record(self._once, self.generators)
                with torch.no_grad():
                    torch._foreach_copy_(self.changed, before)
            self._send(steps)
            for step in steps:
                for generator, (_, recipe) in zip(self.generators, self.sources, strict=True):
                    generator.manual_seed(view_seed(recipe, step))
                self.play()
            values.append(self.values[: len(steps)].clone())
        return torch.cat(values)

    def _send(self, steps: range) -> None:
        """Put what the steps will read where they read it."""
        self.place.zero_()
        self.step.fill_(steps[0])
        self.rates[: len(steps)].copy_(torch.tensor([self.rate(step) for step in steps], dtype=torch.float64))
        for there, (data, recipe) in zip(self.samples, self.sources, strict=True):
            here = batch_indices(recipe, len(data.y), steps)
            if there is not None and here is not None:
                there[: len(steps)].copy_(here)

    def _once(self) -> None:
        draws = [
            Draw(None if there is None else there.index_select(0, self.place)[0], generator)
            for there, generator in zip(self.samples, self.generators, strict=True)
        ]
        value = self.body(Now(draws, self.rates.index_select(0, self.place)[0], self.step))
        self.values.index_copy_(0, self.place, value.to(self.values.dtype)[None])
        self.place.add_(1)
        self.step.add_(1)


def on_graph(once: Play, generators: Sequence[torch.Generator]) -> Play:
    """A step as a CUDA graph; the step itself where it waits for the host, or CUDA does not record it."""
    device = generators[0].device
    side: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    here = torch.cuda.current_stream(device)
    side.wait_stream(here)
    with warnings.catch_warnings(), torch.cuda.device(device):
        warnings.simplefilter("ignore")  # that looking for waits is a prototype, and register_generator_state's end
        with torch.cuda.stream(side):  # libraries make their plans and the compiler compiles, before the recording
            once()
            once()
            records = _never_waits(once)
        here.wait_stream(side)
        if not records:
            return once
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)  # from torch 2.12 on done by itself
        try:
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                once()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            failed = f"CUDA did not record the training step ({reason}); every one is launched from the host"
        else:
            return graph.replay
    warnings.warn(failed, RuntimeWarning, stacklevel=2)
    return once


def _never_waits(once: Play) -> bool:
    """Whether a step leaves the device alone: waiting for it cannot be recorded, and would break the recording."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        once()
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        return False
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return True


RECORDERS: dict[str, Recorder] = {"cuda": on_graph}
"""By type of device; on the others every step is launched from the host. Read-only."""

WAITING = frozenset({"lorac", "anti_collapse"})
"""Losses that factorise a matrix, for which the libraries may ask the host in the midst of a step: never recorded."""


def recorder(recipe: Training, device: torch.device) -> Recorder | None:
    """How a step of this recipe is recorded on a device; None: it is not."""
    return None if recipe.loss in WAITING else RECORDERS.get(device.type)
