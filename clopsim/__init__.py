"""clopsim: does contrastive training collapse where the theory says? The front door.

Every question is one call, named and spelt as the command of the command line; what it gives back prints as that
command's report, shows as such in a notebook, and has its numbers:

    clopsim.critical_rates(tau=0.5, dim=8, samples=32)      every critical learning rate, in closed form
    clopsim.threshold("uniform", samples=200)               one of them, searched
    clopsim.card("infonce"), clopsim.card(my_loss)          any loss: at which rates it collapses, and the simulation
    clopsim.sweep(tau=[0.2, 0.5])                           the main experiment: .dataset, .thresholds, .holds, .plot()
    clopsim.inspect(z, labels=y)                            have these embeddings collapsed?
    clopsim.train(data="digits", loss="infonce", rate=0.1)  train an embedder: .embeddings, .verdict, .plot()
    clopsim.train_sweep(data="digits", rate=[0.1, 1])       a grid of small ones
    clopsim.open_run(folder), clopsim.merge(folders, out=)  stored runs
    clopsim.verify(only="T4")                               the audit of the theory
    clopsim.zoo("federated", seeds=8)                       what authors of other losses claim, tested: .claims, .plot()
    clopsim.CLOP, clopsim.OrthonormalPrototypes, clopsim.losses   for your own training loop
    clopsim.Monitor(loss, every=100)                        rank, cosines and a warning in your own loop
    clopsim.stable_rate(model, loss, batches)               how large its learning rate may be now
    clopsim.rate_test(model, loss, batches)                 a range test that sees a collapse: .collapse_rate, .plot()

Names are loaded when they are first used, so that importing clopsim is quick and needs no torch.

The rooms, from the top floor down: cli; door (these functions), lab, lessons; runs (what outlives a process) and
protocols (the zoo's claims, tested); audit, cards and training; sphere (free embeddings) and show; metrics and losses;
below all of them the theory, bounds. Imports only go down. In a checkout bounds and figures stand beside this folder.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clopsim import losses
    from clopsim.door.card import card
    from clopsim.door.critical_rates import critical_rates
    from clopsim.door.inspect import inspect
    from clopsim.door.rate_test import rate_test
    from clopsim.door.run import open_run
    from clopsim.door.stable_rate import stable_rate
    from clopsim.door.sweep import merge, sweep, train_sweep
    from clopsim.door.threshold import threshold
    from clopsim.door.train import train
    from clopsim.door.verify import verify
    from clopsim.door.zoo import zoo
    from clopsim.losses import CLOP, OrthonormalPrototypes
    from clopsim.training.monitor import Monitor

    __version__: str

__all__ = [
    "CLOP",
    "Monitor",
    "OrthonormalPrototypes",
    "card",
    "critical_rates",
    "inspect",
    "losses",
    "merge",
    "open_run",
    "rate_test",
    "stable_rate",
    "sweep",
    "threshold",
    "train",
    "train_sweep",
    "verify",
    "zoo",
]

_PLACES = {
    "CLOP": "losses",
    "Monitor": "training.monitor",
    "OrthonormalPrototypes": "losses",
    "card": "door.card",
    "critical_rates": "door.critical_rates",
    "inspect": "door.inspect",
    "merge": "door.sweep",
    "open_run": "door.run",
    "rate_test": "door.rate_test",
    "stable_rate": "door.stable_rate",
    "sweep": "door.sweep",
    "threshold": "door.threshold",
    "train": "door.train",
    "train_sweep": "door.sweep",
    "verify": "door.verify",
    "zoo": "door.zoo",
}

_CHECKOUT = Path(__file__).parents[1]
if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "bounds" / "derivation.py").is_file():
    __path__ = [*__path__, str(_CHECKOUT)]  # clopsim.bounds and clopsim.figures, as the build lays them


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name == "__version__":
        value: Any = import_module("clopsim.runs.code").version("clopsim")
    elif name == "losses":
        value = import_module("clopsim.losses")
    elif name in _PLACES:
        value = getattr(import_module(f"clopsim.{_PLACES[name]}"), name)
    else:
        raise AttributeError(f"module 'clopsim' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name, loaded or not."""
    return sorted({*__all__, "__version__", *(name for name in globals() if name.startswith("__"))})
