"""clopsim.train: what `clopsim train` does."""

import shlex
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.door import run
from clopsim.door.answer import BROKE, WRONG_INPUT, Interrupted, Stopped, as_path
from clopsim.door.arguments import takes
from clopsim.door.configfile import check_told, defaults, reproducing_command, say_started_anew, stands
from clopsim.door.ignored import check_used, chosen
from clopsim.door.progress import progress
from clopsim.runs import ready
from clopsim.runs.executors import message
from clopsim.runs.states import is_run, recorded_config, recorded_summary
from clopsim.training.recipe import USUAL_RATES, Training, spelt_out

if TYPE_CHECKING:
    from clopsim.training.checkpoint import State


@takes(defaults(Training))
def train(
    *, out: str | Path | None = None, resume: bool = False, force: bool = False, **options: Any
) -> run.TrainingRun:
    """Train an embedder with a contrastive loss: does it keep its rank, and what are its embeddings worth?

    data: "clusters", "lines", "digits", "openml:NAME" or a path FILE.npz with x and y (-1: no label). Of data: samples
    (0: all, or 512 synthetic ones), features, classes, noise (standard deviation), held_out, labelled and label_noise
    (shares in [0, 1]), imbalance (largest over smallest class), view_noise (standard deviation of a view). Of
    pictures: shift (pixels, a crop of the padded picture), crop (smallest share of it that a view shows), flip (mirror
    half of the views), jitter (strength of the colour jitter). embedder: "table", "linear", "mlp", "conv" or "resnet18"
    (the last two for pictures), with dim, depth, width, batch_norm.
    loss: a name of clopsim.losses.LOSSES, "infonce", "supcon" and others, or "clop" (infonce with prototypes); tau:
    its temperature; prototypes: "none", "orthonormal" or "simplex", with weight (lambda) and distance ("cosine",
    "euclidean" or "manhattan"). optimizer: "sgd", "lars" (trust coefficient 0.001; biases and normalisation as sgd) or
    "adamw"; rate: learning rate of the weights for the mean loss (usual for lars: about 1, for adamw: about 0.001),
    with momentum (adamw: beta_1), weight_decay, schedule ("constant", "cosine", or "warmup": cosine after a tenth of
    the steps), warmup (steps in which the rate rises); batch: samples a step, two views each (0: all); steps, seed.
    sharpness: record the largest Hessian eigenvalue (never of resnet18); save_every: steps between checkpoints;
    precision: "float64", "float32" or "bfloat16"; compile: use torch.compile; device: "auto" or any of torch's.

    out: folder to write as the command does (data.nc, summary.json, provenance.json, train.png, embeddings.npz,
    checkpoint.pt); without it nothing is kept on disk. resume, force: go on with an unfinished run of out, or replace.

    Returns an object with dataset (xarray over step), embeddings (N, dim), labels (N,), split (N,), verdict, summary,
    plot() (a matplotlib figure), to_dict(), folder.
    Errors: ValueError for wrong options; RuntimeError for a loss that is not finite, or a run that cannot be written.
    Source: of every loss, clopsim.losses.LOSSES[name].source; CLOP is arXiv:2403.18699v2, arXiv:2512.07880.

    >>> import clopsim
    >>> clopsim.train(data="clusters", samples=40, batch=0, rate=0.1, steps=3, sharpness=False).embeddings.shape
    (40, 16)
    """
    folder = as_path(out)
    if resume and folder is None:
        raise ValueError("resume needs --out, the folder of the run to go on with")
    if resume and force:
        raise ValueError("resume must come without --force, got both; choose one of them")
    if resume and folder is not None:
        check_told(folder, told=bool(options) or _earlier(folder))
    recipe = Training(**spelt_out({**_recorded(folder if resume else None), **options}))
    told = chosen(options, defaults(Training))
    if recipe.prototypes == "none" and recipe.weight and "weight" in told:
        raise ValueError(f"weight must come with prototypes, got {recipe.weight:g}; add --prototypes orthonormal")
    check_used(told, recipe.to_plain())
    if recipe.optimizer in USUAL_RATES and recipe.rate == Training.rate and not (resume or "rate" in options):
        kind, usual = recipe.optimizer, USUAL_RATES[recipe.optimizer]
        text = f"rate {recipe.rate:g} is the default of sgd; {kind} usually takes about {usual:g}"
        warnings.warn(text, ready.Remark, stacklevel=3)
    with run.temporary(folder) as place:
        if folder is not None:
            return _train(recipe, folder, kept=True, force=force, resume=resume)
        done = _train(recipe, Path(place) / "run", kept=False, force=False, resume=False)
        with done.dataset as dataset:
            return run.TrainingRun(done.summary, None, loaded=dataset.load(), arrays=done.arrays)


def _recorded(folder: Path | None) -> dict[str, Any]:
    """The options of the run that stands in a folder; the defaults where there is none."""
    if folder is None or not is_run(folder):
        return defaults(Training)
    found = recorded_config(folder)
    if not isinstance(found, Training):
        again = shlex.join(["clopsim", found.kind, "--out", str(folder), "--resume"])
        raise ValueError(f"out must hold a training, got {str(folder)!r}, a {found.kind}; resume it: {again}")
    return found.to_plain()


def _earlier(folder: Path) -> bool:
    """Whether a checkpoint of an earlier version stands beside a folder."""
    from clopsim.training import checkpoint

    return checkpoint.path_of(folder).exists()


def _train(recipe: Training, folder: Path, *, kept: bool, force: bool, resume: bool) -> run.TrainingRun:
    """Run a recipe in its folder, held alone from the first moment; kept: whether the folder outlives the call."""
    ready.check_libraries(*ready.WRITERS, *ready.JUDGES, picture=kept)
    from clopsim.runs import store, training_run
    from clopsim.runs.folder import committed
    from clopsim.sphere.devices import choose
    from clopsim.training import evaluation, loop
    from clopsim.training.datasets import load
    from clopsim.training.trainee import trainee

    again = shlex.join(["clopsim", "train", "--out", str(folder), "--resume"])
    device, dtype = choose(recipe.device, recipe.precision)
    ready.check_memory(recipe.needs())
    anew = resume and not (stands(folder) or _earlier(folder))
    with store.locked(folder):
        data = load(recipe, device=device, dtype=dtype)
        model = trainee(recipe, data, device=device, dtype=dtype)
        begun = training_run.begin(
            folder, recipe, room=training_run.size(model, data, recipe), resume=resume, force=force, device=device,
            command=reproducing_command(recipe),
        )  # fmt: skip
        if begun is None:
            warnings.warn(f"{folder} is complete, nothing was left to do", ready.Remark, stacklevel=3)
            return run.TrainingRun(recorded_summary(folder), folder)
        one, state = begun
        if anew:
            say_started_anew(folder)
        try:
            with progress("train") as advance:
                state = loop.train(
                    recipe,
                    data,
                    model,
                    state=state,
                    on_checkpoint=partial(training_run.keep, one),
                    on_progress=lambda state: advance(state.step / recipe.steps, _note(state)),
                    on_product=lambda state, number: advance(state.step / recipe.steps, f"sharpness, product {number}"),
                )
            with committed(folder) as staging:
                summary = training_run.write(staging, recipe, data, model, state=state, origin=one.origin, picture=kept)
            training_run.close(one)
        except loop.Diverged as error:
            text = evaluation.divergence(recipe, data, step=error.step, loss=error.loss, state=error.state)
            last = f" {folder} keeps the last good state, after {training_run.steps_kept(one)} steps." if kept else ""
            raise Stopped(f"{text}{last}", BROKE, {"verdict": "diverged", "text": text, "step": error.step}) from None
        except KeyboardInterrupt as error:
            if not kept:
                raise
            done = f"{100 * training_run.steps_kept(one) // recipe.steps} %"
            raise Interrupted(f"{done} is kept, go on with: {again}") from error
        except Exception as error:  # of whatever kind: what is trained must not be lost to it
            if not kept:
                raise
            reason = f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else message(error)
            status = WRONG_INPUT if isinstance(error, OSError) else BROKE
            raise Stopped(f"{reason}; the training is kept, go on with: {again}", status) from error
    return run.TrainingRun(summary, folder)


def _note(state: "State") -> str:
    names = {"loss": "loss", "effective_rank": "rank", "mean_resultant_length": "R"}
    return "  ".join(f"{short} {state.records[name][-1]:.4g}" for name, short in names.items() if name in state.records)
