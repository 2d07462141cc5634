"""The monitor as a callback of Lightning, of either of its two packages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback  # type: ignore[assignment]
    except ImportError:
        raise ImportError(
            'the callback needs Lightning, which is not installed; pip install "clopsim[lightning]"'
        ) from None

if TYPE_CHECKING:
    from clopsim.training.monitor import Monitor


class MonitorCallback(Callback):
    """Calls a monitor after every step and logs what it saw."""

    def __init__(self, monitor: "Monitor", *, prefix: str) -> None:
        """prefix: before the name of every scalar."""
        self.monitor, self.prefix = monitor, prefix

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look, log, and stop the trainer if the monitor says so."""
        from clopsim.training.monitor import Collapsed

        if not isinstance(outputs, Mapping) or "views" not in outputs:
            raise ValueError(
                "views must be among what training_step returns, got none; "
                'return {"loss": loss, "views": (first, second)}'
            )
        first, second = outputs["views"]
        more = {"model": pl_module, "inputs": outputs["inputs"]} if "inputs" in outputs else {}
        optimizer = next(iter(trainer.optimizers), None)
        try:
            seen = self.monitor(first, second, outputs.get("labels"), optimizer=optimizer, **more)
        except Collapsed as error:
            trainer.should_stop = True
            seen = {"collapsed": 1.0}
            trainer.print(f"stopped: {error}") if hasattr(trainer, "print") else print(f"stopped: {error}")
        if seen:
            pl_module.log_dict({self.prefix + name: value for name, value in seen.items()})

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return self.monitor.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.monitor.load_state_dict(state_dict)


def callback(monitor: "Monitor", *, prefix: str) -> MonitorCallback:
    """As Monitor.lightning_callback, which documents it."""
    return MonitorCallback(monitor, prefix=prefix)
