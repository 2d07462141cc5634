"""The same dynamics written five ways. Each takes float32 arrays (runs, n, d), (runs,), (runs,) and a number of steps.

All are the merged loss with the ambient gradient and symmetric keys, so that every line of a rival is to be seen here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from clopsim.bounds import Setting
from clopsim.sphere import engine
from clopsim.sphere.dynamics import step
from clopsim.sphere.gradient import contrastive_loss

Array = NDArray[np.float32]
Advance = Callable[[Array, Array, Array, int], Array]


class Contender(NamedTuple):
    """share: how much of the runs and of the steps it is timed on, so that the slow ones do not take all the time."""

    name: str
    advance: Advance
    share: tuple[float, float] = (1.0, 1.0)


def every() -> list[Contender]:
    """The contenders that run here; JAX's only where it is installed."""
    found = [
        Contender("loop over runs, autograd", loop, (1 / 128, 1 / 50)),
        Contender("reference step, torch", reference, (1.0, 1 / 40)),
    ]
    if find_spec("jax"):
        found += [
            Contender("JAX, softmax", jax_advance(jax_softmax), (1.0, 1 / 20)),
            Contender("JAX, fastest form found", jax_advance(jax_weights), (1.0, 1 / 4)),
        ]
    return [
        *found,
        Contender("clopsim, every step", ours_every_step, (1.0, 1 / 4)),
        Contender("clopsim", ours),
    ]


def loop(z: Array, rate: Array, tau: Array, steps: int) -> Array:
    """What a user would write: run after run, autograd, normalise. One thread: two are slower on arrays this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ends = []
    for start, mu, temperature in zip(z, rate, tau, strict=True):
        setting = Setting(float(temperature), start.shape[1], start.shape[0])
        x = torch.from_numpy(start)
        for _ in range(steps):
            x = x.detach().requires_grad_()
            (g,) = torch.autograd.grad(contrastive_loss(x, float(temperature), setting), x)
            with torch.no_grad():
                x = torch.nn.functional.normalize(x - float(mu) * g, dim=-1)
        ends.append(x.detach().numpy())
    torch.set_num_threads(threads)
    return np.stack(ends)


def reference(z: Array, rate: Array, tau: Array, steps: int) -> Array:
    setting = Setting(0.5, z.shape[2], z.shape[1])
    x, mu, temperature = map(torch.from_numpy, (z, rate, tau))
    for _ in range(steps):
        x = step(x, mu, temperature, setting)
    return x.numpy()


def ours(z: Array, rate: Array, tau: Array, steps: int) -> Array:
    setting = Setting(0.5, z.shape[2], z.shape[1])
    x, mu, temperature = map(torch.from_numpy, (z, rate, tau))
    return engine.advance(x, mu, temperature, setting=setting, steps=steps).numpy()


def ours_every_step(z: Array, rate: Array, tau: Array, steps: int) -> Array:
    """Without stopping settled runs, which the rivals do not do either."""
    with looked(steps + 1):
        return ours(z, rate, tau, steps)


@contextmanager
def looked(often: int) -> Iterator[None]:
    """So many steps between two looks at which runs have settled."""
    with patch.object(engine, "SETTLED", often):
        yield


def jax_softmax(z: Any, tau: Any) -> Any:
    """The closed form as it is written in a paper."""
    import jax
    import jax.numpy as jnp

    softmax = jax.nn.softmax(jnp.where(jnp.eye(len(z), dtype=bool), -jnp.inf, z @ z.T / tau), axis=-1)
    return (softmax @ z + softmax.T @ z) / tau


def jax_weights(z: Any, tau: Any) -> Any:
    """No softmax, one product: the fastest of eight forms tried (E[Z | rZ], two products, lax.map instead of vmap)."""
    import jax.numpy as jnp

    kernel = jnp.exp((z @ z.T - 1) / tau) * (1 - jnp.eye(len(z)))
    r = 1 / kernel.sum(axis=0)
    return ((r[:, None] + r[None, :]) * kernel) @ z / tau


def jax_advance(gradient: Callable[[Any, Any], Any]) -> Advance:
    """As the others, from NumPy to NumPy."""
    compiled = jax_compiled(gradient)
    return lambda z, rate, tau, steps: np.asarray(compiled(z, rate, tau, steps).block_until_ready())


def jax_compiled(gradient: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """jit(vmap(scan)) of arrays where they are; compiled once for each number of steps, by the warm-up."""
    import jax
    import jax.numpy as jnp

    def run(z: Any, rate: Any, tau: Any, steps: int) -> Any:
        def body(x: Any, _: None) -> tuple[Any, None]:
            moved = x - rate * gradient(x, tau)
            return moved / jnp.linalg.norm(moved, axis=-1, keepdims=True), None

        return jax.lax.scan(body, z, None, length=steps)[0]

    return jax.jit(jax.vmap(run, in_axes=(0, 0, 0, None)), static_argnums=3)
