"""clopsim: simulate contrastive learning and hold it against the theory in `bounds`.

Nothing is imported here, so that the command line answers `--help` without torch; import the module that you need:
data, starts, gradient, metrics, dynamics, outcomes, thresholds, sweep, results, plots;
for runs that outlive their process: plan, chunks, executors, jobs, store, runs.
"""

__all__: list[str] = []
