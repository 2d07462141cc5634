"""One of the four processes of test_gather.py: python processes.py RANK FOLDER.

Writes values and gradients of all four as RANK.4.pt, of a group of the first two as RANK.2.pt, of all four with unequal
shares of the batch as RANK.uneven.pt, what a monitor sees as RANK.monitor.pt, and what is refused as RANK.refused.pt.
"""

import os
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from clopsim.losses import CLOP, LOSSES, OrthonormalPrototypes, by_name, gathered
from clopsim.training.monitor import Monitor

SAMPLES, INPUTS, DIMENSION = 8, 6, 5
LABELS = (0, 1, 1, 2, 0, -1, -1, -1)  # labelled per process: 5; 4, 1; 2, 2, 1, 0; uneven: 3, 0, 2, 0
UNEVEN = (3, 0, 4, 1)  # samples per process


def losses():
    """Every registered loss, and CLOP over two of them in its three distances."""
    prototypes = OrthonormalPrototypes(3, DIMENSION, dtype=torch.float64)
    plain = {name: by_name(name, temperature=0.3) for name in LOSSES}
    tiles = {f"{name} in tiles": partial(plain[name], tiled=True) for name in ("infonce", "supcon", "dcl", "clip")}
    return (
        plain
        | tiles
        | {
            f"clop {distance} over {base}": CLOP(plain[base], prototypes, 3.0, distance=distance)
            for base in ("infonce", "vicreg")
            for distance in ("cosine", "euclidean", "manhattan")
        }
    )


def step(rank, shares, group=None):
    """For every loss: its value, the gradient in the rows of this process, and the embedder's gradient."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, SAMPLES, INPUTS, generator=generator, dtype=torch.float64)
    weight = torch.randn(DIMENSION, INPUTS, generator=generator, dtype=torch.float64)
    mine = slice(sum(shares[:rank]), sum(shares[: rank + 1]))
    result = {}
    for name, loss in losses().items():
        layer = torch.nn.Linear(INPUTS, DIMENSION, bias=False).double()
        layer.weight.data.copy_(weight)
        embedder = DistributedDataParallel(layer, process_group=group) if len(shares) > 1 else layer
        rows = embedder(x[:, mine].flatten(0, 1)).view(2, shares[rank], DIMENSION)
        rows.retain_grad()
        value = gathered(loss, group)(rows[0], rows[1], torch.tensor(LABELS)[mine])
        value.backward()
        result[name] = (value.detach(), rows.grad, layer.weight.grad)
    return result


def refused(rank):
    """What every process says when one of them brings another dimension, no labels, or another dtype."""
    loss, messages = gathered(by_name("infonce", temperature=0.3)), []
    for dimension, labels in ((4 if rank == 2 else 5, None), (5, None if rank == 1 else torch.zeros(3).long())):
        x = torch.ones(3, dimension)
        try:
            loss(x, x, labels)
        except ValueError as error:
            messages.append(str(error))
    x, y = torch.ones(3, 5), torch.zeros(3).long()
    for rows, labels in ((x.bfloat16() if rank == 3 else x, y), (x, y.int() if rank == 0 else y)):
        try:
            loss(rows, rows, labels)
        except ValueError as error:
            messages.append(str(error))
    return messages


def penalty(rank, shares):
    """Gradient in this process's rows of the sum over processes of |own gradient|^2: a derivative of a derivative."""
    first, second = torch.randn(2, sum(shares), 5, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    mine = slice(sum(shares[:rank]), sum(shares[: rank + 1]))
    rows = first[mine].clone().requires_grad_()
    loss = gathered(by_name("infonce", temperature=0.3))
    (slope,) = torch.autograd.grad(loss(rows, second[mine]), rows, create_graph=True)
    return torch.autograd.grad(slope.square().sum(), rows)[0]


def monitored(rank, shares):
    """What a monitor of all processes sees in each of them."""
    first, second = torch.randn(2, sum(shares), 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    mine = slice(sum(shares[:rank]), sum(shares[: rank + 1]))
    monitor = Monitor(by_name("infonce", temperature=0.3), gather=True)
    return monitor(first[mine], second[mine], torch.arange(sum(shares))[mine] % 3)


def late(rank, folder):
    """What the others are told where process 2 does not come."""
    here = folder / f"{rank}.late.pt"
    if rank == 2:
        while not all((folder / f"{other}.late.pt").exists() for other in (0, 1, 3)):
            time.sleep(0.1)
        return
    loss = gathered(by_name("infonce", temperature=0.3), patience=2)
    try:
        loss(*torch.randn(2, 4, 5))
    except TimeoutError as error:
        torch.save(str(error), here)


def main():
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=4, timeout=timedelta(seconds=60)
    )
    torch.save(step(rank, (2, 2, 2, 2)), folder / f"{rank}.4.pt")
    torch.save(step(rank, UNEVEN), folder / f"{rank}.uneven.pt")
    torch.save(monitored(rank, (5, 1, 6, 4)), folder / f"{rank}.monitor.pt")
    torch.save(refused(rank), folder / f"{rank}.refused.pt")
    torch.save(penalty(rank, UNEVEN), folder / f"{rank}.penalty.pt")
    pair = dist.new_group([0, 1])
    if rank < 2:
        torch.save(step(rank, (4, 4), pair), folder / f"{rank}.2.pt")
    dist.barrier()
    late(rank, folder)  # last: whoever waited in vain must not go on with the group
    os._exit(0)  # all is written; the threads of gloo abort the interpreter's own exit now and then


if __name__ == "__main__":
    main()
