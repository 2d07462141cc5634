"""What clopsim.Monitor costs beside a step of a ResNet-18 for 32 x 32 images, at its default cadence.

    python -m tests.bench_monitor [--batch 64] [--dim 128]

The forward and backward pass of both views, and one look with its verdict; on a GPU where there is one.
"""

import argparse
import time
from collections.abc import Callable

import torch

from clopsim.losses import by_name
from clopsim.training.monitor import Monitor
from tests.stability import resnet18


def seconds(work: Callable[[], object], device: torch.device, times: int) -> float:
    """The fastest of some runs, after one that warms up."""
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return min(found[1:])


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch", type=int, default=64, help="samples, two views each")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = resnet18(dimension=given.dim).to(device)
    loss, x = by_name("infonce", temperature=0.5), torch.randn(2, given.batch, 3, 32, 32, device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    monitor = Monitor(loss, every=1)

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x[0]), model(x[1])).backward()

    taken = seconds(step, device, given.times)
    with torch.no_grad():
        z = torch.randn(2, given.batch, given.dim, device=device)
    look = seconds(lambda: monitor(z[0], z[1], optimizer=optimizer), device, given.times)
    share = look / (100 * taken)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"{where}: a step of batch {given.batch} takes {1e3 * taken:.4g} ms, a look at d = {given.dim} "
        f"{1e3 * look:.3g} ms: every 100 steps {100 * share:.2g} % of the run"
    )


if __name__ == "__main__":
    main()
