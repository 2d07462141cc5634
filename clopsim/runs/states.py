"""What stands in run folders: setting, state, verdict. Reads JSON and checksums only; imports no torch."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clopsim.runs import plan, store
from clopsim.runs.executors import message
from clopsim.runs.plan import Recorded

PARTS = {"thresholds": "sweep", "runs": "train-sweep", "accuracy": "train", "claims": "zoo"}
"""Commands by what only their summaries have."""

DATA, SUMMARY, PROVENANCE = "data.nc", "summary.json", "provenance.json"


@dataclass(frozen=True)
class Run:
    """One run folder, as `clopsim runs` lists it."""

    folder: str
    kind: str  # the command that made it: sweep, train-sweep, train, zoo; run if that cannot be told
    setting: str
    state: str  # complete, running, resumable, failed, share, damaged
    detail: str  # the state in words, with the share done or what is damaged
    verdict: str  # holds, fails, or nothing
    date: str  # of the end, else of the start; ISO 8601


def run_folders(root: Path) -> Iterator[Path]:
    """The run folders at and under a folder, sorted; a run's own folder is not searched further."""
    try:
        inside = sorted(root.iterdir())
        found = any((root / name).exists() for name in (store.PLAN, PROVENANCE, DATA))
    except OSError:  # not ours to read: described as damaged
        yield root
        return
    if found:
        yield root
        return
    for path in inside:
        if path.is_dir() and not path.name.startswith(".") and not path.is_symlink():
            yield from run_folders(path)


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, complete or not."""
    return (folder / store.PLAN).exists() or (folder / PROVENANCE).exists()


def describe(folder: Path) -> Run:
    """What stands in a run folder."""
    state, detail, date = "complete", "complete", ""
    kind, config = "run", dict[str, Any]()
    summary: dict[str, Any] = {}
    try:
        unfinished = store.load(folder)
        if unfinished is None or (folder / PROVENANCE).exists():
            summary, date = recorded_summary(folder), _provenance(folder)["date"]
            kind, config = kind_of(summary), summary.get("setting", {})
        if unfinished is not None:
            kind, config, date = unfinished.plan["kind"], unfinished.plan["config"], unfinished.origin["date"]
            state, detail = _progress(unfinished)
            if state != "failed":
                summary = {}
        setting = _setting(kind, config)
    except Exception as error:  # whatever one folder holds, the others are listed
        why = str(error) if isinstance(error, store.Damaged | OSError) else message(error)
        state, detail, setting, summary = "damaged", f"damaged: {why}", "", {}
    holds = summary.get("holds")
    verdict = "" if holds is None else "holds" if holds else "fails"
    return Run(str(folder), kind, setting, state, detail, verdict, date)


def kind_of(summary: Mapping[str, Any]) -> str:
    """The command that wrote a summary."""
    return next((kind for part, kind in PARTS.items() if part in summary), "run")


def recorded_summary(folder: Path) -> dict[str, Any]:
    """summary.json of a complete run. Errors: store.Damaged unless every file is what the run wrote."""
    sums = _provenance(folder).get("sha256", {})
    for name in (DATA, SUMMARY, *sorted(set(sums) - {DATA, SUMMARY})):
        try:
            found = checksum(folder / name)
        except FileNotFoundError:
            if name.endswith(".png"):
                continue  # a picture can be drawn again from the data
            raise store.Damaged(
                f"out must be a whole run, got {folder} without {name}; start again with --force"
            ) from None
        if sums.get(name) != found:
            raise store.Damaged(
                f"out must be undamaged, got {folder / name} with a wrong checksum; start again with --force"
            )
    try:
        summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text())
    except (ValueError, RecursionError):
        raise store.Damaged(
            f"out must be undamaged, got {folder / SUMMARY}, which is none of ours; start again with --force"
        ) from None
    return summary


def recorded_machines(folder: Path) -> list[str]:
    """The kinds of machine that a complete run's parts come from, as in chunks.machine. Errors: store.Damaged."""
    return list(_provenance(folder).get("machines", []))


def checksum(path: Path) -> str:
    """SHA-256 of a file, however large."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_config(folder: Path) -> Recorded:
    """What a run folder was told to do, complete or not. Errors: store.Damaged; ValueError for another kind of run."""
    unfinished = store.load(folder)
    if unfinished is not None:
        return plan.from_plain(unfinished.plan["kind"], unfinished.plan["config"])
    summary = recorded_summary(folder)
    kind = kind_of(summary)
    if kind not in (*plan.RECORDS, "train"):
        raise ValueError(
            f"out must be the folder of a sweep or a training, got {str(folder)!r}, of a {kind}; choose another folder"
        )
    rates = {"rates": summary["rates"]} if kind == "sweep" else {}
    return plan.from_plain(kind, {**summary["setting"], **rates})


def _provenance(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / PROVENANCE).read_text(errors="replace"))
        _ = found["date"]
        seal = found.pop("seal", None)  # an earlier version wrote none
        if seal is not None and seal != store.digest_of(found):
            raise ValueError
    except FileNotFoundError:
        raise store.Damaged(
            f"out must be a whole run, got {folder} without {PROVENANCE}; start again with --force"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise store.Damaged(
            f"out must be undamaged, got {folder / PROVENANCE}, which is not what was written; start again with --force"
        ) from None
    return found


def _progress(unfinished: store.Store) -> tuple[str, str]:
    if unfinished.plan["kind"] == "train":
        kept = unfinished.kept()
        percent = f"{100 * (kept[0] if kept else 0) // unfinished.plan['config']['steps']} %"
        if store.is_held(unfinished.folder):
            return "running", f"running, {percent} kept"
        return "resumable", f"resumable at {percent}"
    done, all_ = unfinished.finished(), len(unfinished.numbers())
    percent = f"{100 * sum(not count for count in done.values()) // max(1, all_)} %"
    if store.is_held(unfinished.folder):
        return "running", f"running, {percent} done"
    failed = sum(done.values())
    if len(done) < all_ or (failed and not (unfinished.folder / PROVENANCE).exists()):
        return "resumable", f"resumable at {percent}"
    if failed:
        return "failed", f"complete, {failed} cells failed; resume to try them again"
    if unfinished.share:
        i, n = unfinished.share
        return "share", f"share {i}/{n} complete; join with clopsim merge"
    return "resumable", "resumable at 100 %"


def _sweep(config: Mapping[str, Any]) -> str:
    tau = config["temperature"]
    taus = ",".join(f"{one:g}" for one in tau) if isinstance(tau, list) else f"{tau:g}"
    words = [f"{config['loss']} loss", f"{config['gradient']} gradient"]
    if config["keys"] != "symmetric":
        words.append("detached keys")
    if config["reduction"] != "sum":
        words.append("mean")
    if config.get("momentum"):
        words.append(f"momentum {config['momentum']:g}")
    return ", ".join([*words, f"tau = {taus}", f"n = {config['samples']}", f"d = {config['dimension']}"])


def _networks(config: Mapping[str, Any]) -> str:
    losses, weights = (
        config[name] if isinstance(config[name], list) else [config[name]] for name in ("loss", "weight")
    )
    words = [",".join(losses), f"{config['embedder']} on {config['data']}", f"{config['steps']} steps"]
    if config["prototypes"] != "none" and any(weights):
        words.append(f"lambda = {','.join(f'{weight:g}' for weight in weights)}")
    if config.get("optimizer", "sgd") != "sgd":
        words.append(config["optimizer"])
    if config.get("warmup"):
        words.append(f"warm-up of {config['warmup']}")
    return ", ".join([*words, f"d = {config['dimension']}"])


def _setting(kind: str, config: Mapping[str, Any]) -> str:
    if not config or kind == "run":
        return ""
    if kind == "zoo":
        return f"{config['protocol']}, {config['seeds']} seeds"
    return _sweep(config) if kind == "sweep" else _networks(config)
