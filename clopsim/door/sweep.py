"""clopsim.sweep, clopsim.train_sweep and clopsim.merge: what the commands of these names do."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from clopsim.door import run
from clopsim.door.answer import BROKE, WRONG_INPUT, Stopped, as_path
from clopsim.door.arguments import takes
from clopsim.door.configfile import EXECUTION, defaults
from clopsim.door.execution import execute, warn_of_machines
from clopsim.runs import ready
from clopsim.runs.config import Sweep
from clopsim.runs.executors import message
from clopsim.runs.recipes import TrainingSweep


@takes({**defaults(Sweep), **EXECUTION})
def sweep(
    *,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    shard: str | None = None,
    config: str | Path | None = None,
    save_config: str | Path | None = None,
    **options: Any,
) -> "run.SweepRun | run.Share | run.Runs":
    """Sweep the learning rate of gradient descent on free embeddings: does collapse start where the bound says?

    The curve comes from the sweep, the verdict from a bisection that starts near collapse and knows no prediction.

    tau: temperature > 0, one or a list; dim: d >= 2; samples: n >= 3 embeddings (the full loss counts both views);
    loss, gradient, keys, reduction, momentum: as of critical_rates. rates: learning rates in units of mu_c (the
    collapse_rate of critical_rates), increasing. seeds: runs per rate; steps: of every run; seed: the first one.
    start: "data", "random", "uniform" or "collapse". Of data: data ("clusters" or "lines"), clusters (their number),
    noise (standard deviation inside one), separation (length of the centres), imbalance (largest over smallest
    cluster), view_noise (standard deviation of a view). precision: "float64" or "float32"; device: any of torch's.
    A list for any other option makes a grid: one sweep for each of its values.

    out: folder to write as the command does (data.nc, summary.json, provenance.json, sweep.png); without it nothing is
    kept on disk. resume, force: go on with the run in out, or replace it. shard: "I/N", run a share only; config,
    save_config: a TOML file with these options to read, to write. workers: processes (default: by the work); engine:
    "local" or "dask", scheduler: its address; fail_fast: stop at the first cell that fails.

    Returns an object with dataset (xarray over temperature, rate, seed, step), thresholds, holds, plot() (a matplotlib
    figure), summary, to_dict(), folder; of a share or a grid one with to_dict() only, a grid is a mapping too.
    Errors: ValueError for wrong options; RuntimeError for a run that could not be finished, saying what is kept.
    Source: ours (bounds/THEORY.md, T4); the synthetic data of arXiv:2403.18699 is data="lines".

    >>> import clopsim
    >>> clopsim.sweep(tau=[0.2, 0.5], samples=8, rates=[0.5, 2], seeds=1, steps=5).holds
    True
    """
    return execute(
        Sweep,
        options,
        config=config,
        save_config=save_config,
        out=out,
        resume=resume,
        force=force,
        shard=shard,
    )


@takes({**defaults(TrainingSweep), **EXECUTION})
def train_sweep(
    *,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    shard: str | None = None,
    config: str | Path | None = None,
    save_config: str | Path | None = None,
    **options: Any,
) -> "run.TrainingSweepRun | run.Share | run.Runs":
    """Train a grid of small networks together: which rates, weight decays and prototype weights keep the rank?

    Every combination of the lists loss, rate, weight_decay, weight, labelled and batch, each for seeds seeds from seed
    on; weight above 0 is CLOP, with prototypes "orthonormal" or "simplex". The other options are those of train: data,
    samples, features, classes, noise, held_out, label_noise, imbalance, view_noise, shift, crop, flip, jitter,
    embedder, dim, depth, width, batch_norm, tau, distance, optimizer, momentum, schedule, warmup, steps, precision
    (bfloat16 for resnet18 alone, which is trained one after the other), device; and those of a sweep's execution: out,
    resume, force, shard, config, save_config, workers, engine, scheduler, fail_fast.

    Returns an object with dataset (xarray over loss, learning_rate, weight_decay, weight, labelled_fraction,
    batch_size, seed, step), summary, to_dict(), folder; it prints as the table of medians over the seeds.
    Errors: ValueError for wrong options; RuntimeError for a run that could not be finished, saying what is kept.
    Source: CLOP is arXiv:2403.18699v2, arXiv:2512.07880.

    >>> import clopsim
    >>> clopsim.train_sweep(data="clusters", samples=40, batch=0, steps=2, rate=[0.1], seeds=1).dataset.sizes["step"]
    3
    """
    return execute(
        TrainingSweep,
        options,
        config=config,
        save_config=save_config,
        out=out,
        resume=resume,
        force=force,
        shard=shard,
    )


@takes({})
def merge(folders: Sequence[str | Path], *, out: str | Path, force: bool = False) -> run.Run:
    """Join the shares of a sweep of either kind (shard="I/N") into the run folder of the whole sweep, byte for byte.

    folders: run folders of all shares; out: the folder to write; force: replace a run that is there.
    Returns the whole run, as sweep or train_sweep would have given it.
    Errors: ValueError for shares of different sweeps or that are not all; RuntimeError where they cannot be joined.
    Source: ours.

    >>> import clopsim
    >>> half = [clopsim.sweep(samples=8, rates=1, seeds=1, steps=5, shard=f"{i}/2", out=f"s{i}").folder for i in (1, 2)]
    >>> clopsim.merge(half, out="whole").holds
    True
    """
    place = as_path(out) or Path()
    if isinstance(folders, str) or not isinstance(folders, Iterable):
        raise ValueError(f"folders must be a list of run folders, got {folders!r}; name every share")
    ready.check_libraries(*ready.WRITERS)
    from clopsim.runs import folder as runs
    from clopsim.runs import store

    with ExitStack() as stack:
        shares = []
        for each in (as_path(one, "folders") or Path() for one in folders):
            found = store.load(each)
            if found is None:
                raise ValueError(f"folders must hold shares of a sweep, got {str(each)!r}; see sweep --shard")
            if store.is_held(each):
                raise ValueError(f"folders must not be in use, got {str(each)!r}; another process works there")
            shares.append(found)
        if not shares:
            raise ValueError("folders must hold a run folder, got none; name every share")
        try:
            stack.enter_context(store.locked(place))
            whole = runs.merge(shares, place, force=force)
            summary = runs.finish(whole)
        except OSError as error:
            raise Stopped(f"{error.strerror} ({error.filename}); the shares are untouched", WRONG_INPUT) from None
        except ValueError:
            raise  # about the shares or the folder
        except Exception as error:
            raise Stopped(f"{message(error)}; the shares are untouched", BROKE) from error
    warn_of_machines(place)
    return run.KINDS[whole.plan["kind"]](summary, place)
