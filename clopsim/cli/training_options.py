"""Options that `clopsim train` and `clopsim train-sweep` share."""

from typing import Annotated

import typer

from clopsim.cli.options import choice_option, number_option, whole_option
from clopsim.training.recipe import USUAL_RATES, Distance, Kind, NamedSchedule, Optimizer

Source = Annotated[
    str,
    typer.Option(
        metavar="DATA",
        help="The data. clusters, lines, digits, openml:NAME (CIFAR_10, Fashion-MNIST), FILE.npz with x, y (-1: none).",
    ),
]
Drawn = Annotated[int, whole_option("How many samples. Before the split; 0: all, or 512 of the synthetic ones.")]
Features = Annotated[int, whole_option("Dimension of clusters and lines.")]
Classes = Annotated[int, whole_option("Classes of the samples. Of clusters and lines, one each.")]
Noise = Annotated[float, number_option("Standard deviation inside a cluster or line.")]
HeldOut = Annotated[float, number_option("Share kept for evaluation.")]
LabelNoise = Annotated[float, number_option("Share of the seen labels that are wrong.")]
Imbalance = Annotated[float, number_option("Largest over smallest cluster or training class, >= 1.")]
ViewNoise = Annotated[float, number_option("Standard deviation of a view. Images have deviation 1.")]
Shift = Annotated[int, whole_option("Images: largest shift of a view in pixels, a crop of the padded picture.")]
Crop = Annotated[
    float, number_option("Images: smallest share of the picture that a view shows; SimCLR has 0.08 to 0.2.")
]
Flip = Annotated[bool, typer.Option("--flip", help="Images: mirror half of the views.")]
Jitter = Annotated[float, number_option("Images: strength of the colour jitter; SimCLR has 0.5 for CIFAR-10.")]
EmbedderKind = Annotated[
    Kind, choice_option(Kind, "Network to train. table: free embeddings; conv, resnet18: images only.")
]
Depth = Annotated[int, whole_option("Hidden layers of mlp and conv.")]
Width = Annotated[int, whole_option("Units or channels of a hidden layer; channels of resnet18's stem.")]
BatchNorm = Annotated[
    bool, typer.Option(help="Leave out the batch normalisation of mlp, conv and resnet18.", show_default=False)
]
DistanceOption = Annotated[Distance, choice_option(Distance, "Distance in the prototype term.")]
OptimizerOption = Annotated[
    Optimizer,
    choice_option(
        Optimizer,
        f"Their rates differ: lars takes about {USUAL_RATES['lars']:g}, times 0.001 |layer|; adamw about "
        f"{USUAL_RATES['adamw']:g}.",
    ),
]
Momentum = Annotated[float, number_option("Momentum beta, in [0, 1). Of sgd and lars; of adamw beta_1.")]
ScheduleOption = Annotated[
    NamedSchedule, choice_option(NamedSchedule, "Of the learning rate. warmup: cosine after a tenth of the steps.")
]
Warmup = Annotated[int, whole_option("Steps in which the rate rises to its value, before the schedule.")]
Steps = Annotated[int, whole_option("Steps of every run.")]
