"""clopsim: simulate contrastive learning and hold it against the theory in `bounds`.

Nothing is imported here, so that the command line answers `--help` without torch; import the module that you need:
the dynamics: data, starts, gradient, dynamics, engine, metrics, outcomes, thresholds, sweep, results, plots;
runs that outlive their process: plan, chunks, executors, jobs, store, runs; training: losses, recipe, datasets, views,
embedders, training, evaluation; embeddings of others: inspection, class_metrics; the audit: ledger, experiments, audit.
"""

__all__: list[str] = []
