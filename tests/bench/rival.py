"""The rival of a stack of networks: JAX's jit(vmap(grad)) of the same MLP with InfoNCE, views drawn inside."""

from typing import Any

import numpy as np
import torch

from clopsim.training.batches import batch_indices, views_of
from clopsim.training.datasets import DataSet
from clopsim.training.embedders import build
from clopsim.training.recipe import Training

EPSILON = torch.nn.BatchNorm1d(1).eps


class Rival:
    """Members of one seed; float64 where the recipes say so, and then on torch's own views, to be compared."""

    def __init__(self, recipes: list[Training], data: DataSet) -> None:
        import jax

        self.exact = recipes[0].precision == "float64"
        jax.config.update("jax_enable_x64", self.exact)
        dtype = torch.float64 if self.exact else torch.float32
        self.recipe, self.data, self.members, self.done = recipes[0], data, len(recipes), 0
        network = build(recipes[0].network, data.shape, samples=2, seed=recipes[0].seed, dtype=dtype)
        self.layers = [type(layer).__name__ for layer in network]
        one = {name: value.detach().numpy() for name, value in network.named_parameters()}
        self.params = {name: jax.numpy.asarray(np.stack([value] * self.members)) for name, value in one.items()}
        self.velocity = {name: 0 * value for name, value in self.params.items()}
        self.rate, self.decay = (
            jax.numpy.asarray(np.array([getattr(recipe, name) for recipe in recipes], dtype=one["1.weight"].dtype))
            for name in ("rate", "weight_decay")
        )
        self.x = jax.numpy.asarray(data.x.cpu().numpy())
        self.many = jax.jit(self._many)
        self.one = jax.jit(self._step)

    def __call__(self, steps: int) -> list[dict[str, torch.Tensor]]:
        """So many more steps; the parameters of every member."""
        import jax

        numbers = range(self.done, self.done + steps)
        factor = np.array([self.recipe.rate_at(step) / self.recipe.rate for step in numbers])
        state = (self.params, self.velocity)
        if self.exact:
            for step, each in zip(numbers, factor, strict=True):
                first, second, _ = views_of(self.data, self.recipe, step)
                state = self.one(state, jax.numpy.asarray(torch.cat([first, second]).numpy()), each)
        else:
            index = batch_indices(self.recipe, len(self.data.y), numbers)
            keys = jax.vmap(jax.random.key)(np.array(numbers))
            state = self.many(state, keys, factor.astype(np.float32), index.numpy())
        self.params, self.velocity = jax.block_until_ready(state)
        self.done += steps
        ends = {name: torch.from_numpy(np.array(value)) for name, value in self.params.items()}
        return [{name: value[m] for name, value in ends.items()} for m in range(self.members)]

    def _embed(self, params: Any, x: Any) -> Any:
        import jax

        h = x.reshape(len(x), -1)
        for k, layer in enumerate(self.layers):
            if layer == "Linear":
                h = h @ params[f"{k}.weight"].T + params.get(f"{k}.bias", 0)
            elif layer == "BatchNorm1d":
                h = (h - h.mean(axis=0)) * jax.lax.rsqrt(h.var(axis=0) + EPSILON)
                h = h * params[f"{k}.weight"] + params[f"{k}.bias"]
            elif layer == "ReLU":
                h = jax.nn.relu(h)
        return h

    def _loss(self, params: Any, x: Any) -> Any:
        import jax
        import jax.numpy as jnp

        u = self._embed(params, x)
        z = u / jnp.linalg.norm(u, axis=-1, keepdims=True)
        cosines = z @ z.T / self.recipe.temperature
        others = jax.nn.logsumexp(jnp.where(jnp.eye(len(z), dtype=bool), -jnp.inf, cosines), axis=-1)
        return (others - (z * jnp.roll(z, len(z) // 2, axis=0)).sum(axis=-1) / self.recipe.temperature).mean()

    def _step(self, state: Any, x: Any, factor: Any) -> Any:
        import jax

        momentum = self.recipe.momentum

        def one(params: Any, velocity: Any, rate: Any, decay: Any) -> Any:
            slopes = jax.grad(self._loss)(params, x)
            speed = {name: momentum * velocity[name] + slopes[name] + decay * p for name, p in params.items()}
            return {name: p - factor * rate * speed[name] for name, p in params.items()}, speed

        return jax.vmap(one)(*state, self.rate, self.decay)

    def _many(self, state: Any, keys: Any, factors: Any, index: Any) -> Any:
        import jax

        def body(now: Any, given: Any) -> Any:
            key, factor, samples = given
            return self._step(now, self._views(key, self.x[samples]), factor), None

        return jax.lax.scan(body, state, (keys, factors, index))[0]

    def _views(self, key: Any, x: Any) -> Any:
        """Both views, one after the other: each picture shifted, its smallest value moving in, and noise."""
        import jax
        import jax.numpy as jnp

        spec, both = self.data.views, jnp.concatenate([x, x])
        to_shift, to_noise = jax.random.split(key)
        moves = jax.random.randint(to_shift, (len(both), 2), 0, 2 * spec.shift + 1)

        def shifted(picture: Any, move: Any) -> Any:
            margin = [(0, 0), (spec.shift, spec.shift), (spec.shift, spec.shift)]
            framed = jnp.pad(picture, margin, constant_values=picture.min())
            return jax.lax.dynamic_slice(framed, (0, move[0], move[1]), picture.shape)

        return jax.vmap(shifted)(both, moves) + spec.noise * jax.random.normal(to_noise, both.shape)
