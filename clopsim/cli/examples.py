"""What every --help ends with: what the command leaves on the disk, and two examples."""

from collections.abc import Mapping

RUN = "data.nc (every variable along every run; xarray.open_dataset reads it)"
SUMMARY = "summary.json (what --json prints), provenance.json (command, versions, machine, checksums)"

LEAVES: Mapping[str, str] = {
    "card": "Writes nothing but the PICTURE of --figure.",
    "figures": "The folder will hold NAME.png and NAME.csv for every figure; --runs FOLDER keeps NAME.run.",
    "inspect": "Writes nothing but the PICTURE of --figure.",
    "merge": "The run folder will hold what that of the undivided sweep does: see clopsim sweep.",
    "show": "Writes nothing but the PICTURE of --figure.",
    "sweep": (
        f"The run folder will hold {RUN}, {SUMMARY}, sweep.png (the curves with every predicted line). While it runs: "
        "plan.json and chunks/."
    ),
    "train": (
        f"The run folder will hold {RUN}, {SUMMARY}, train.png, embeddings.npz (z, norm, y, labels, split) and "
        "checkpoint.pt. While it runs: plan.json and checkpoint."
    ),
    "train-sweep": f"The run folder will hold {RUN}, {SUMMARY}. While it runs: plan.json and chunks/.",
    "zoo": f"The run folder will hold {RUN}, {SUMMARY}, zoo.png (the differences behind every verdict).",
    "verify": "The report is one .html file, or a .md file with a folder of figures beside it.",
}
"""By command; the others leave nothing, or their help has said it."""

EXAMPLES: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "bounds": (
        ("the paper's setting", "clopsim bounds --tau 0.5 --dim 8 --samples 32"),
        (
            "what PyTorch code takes, a batch of 256",
            "clopsim bounds --loss full --gradient tangent --reduction mean --samples 512",
        ),
    ),
    "card": (
        ("SimCLR's loss, as PyTorch code has it", "clopsim card infonce --samples 32 --dim 8 --tau 0.5"),
        (
            "a loss of yours, four classes, as a picture too",
            "clopsim card my_losses.py:my_loss --classes 4 --figure card.png",
        ),
    ),
    "figures": (
        ("one figure in seconds, small and rough", "clopsim figures collapse_sweep --quick --out pictures"),
        ("all of them for print", "clopsim figures --format pdf,png --out pictures"),
    ),
    "inspect": (
        ("the array z of a file, with the classes in its array y", "clopsim inspect embeddings.npz --labels y"),
        ("a single array, its spectrum as a picture", "clopsim inspect z.npy --figure spectrum.pdf"),
    ),
    "lab": (
        ("open it in the browser", "clopsim lab"),
        ("write it beside a page of yours, with the line that shows it there", "clopsim lab --out lab.html --embed"),
    ),
    "lessons": (
        ("write the notebooks and the lab here", "clopsim lessons"),
        ("replace them, answers included", "clopsim lessons --out class --force"),
    ),
    "merge": (
        ("join two shares", "clopsim merge share-1 share-2 --out whole"),
        ("all of them, the summary as JSON", "clopsim merge share-* --out whole --json"),
    ),
    "runs": (
        ("the runs in the folder runs", "clopsim runs"),
        ("those of another folder, for a script", "clopsim runs results --json"),
    ),
    "show": (
        ("table of a run", "clopsim show run"),
        ("the figure for a paper", "clopsim show run --figure curve.pdf"),
    ),
    "sweep": (
        ("two temperatures in one run", "clopsim sweep --tau 0.2,0.5 --out run"),
        (
            "the loss and the gradient of PyTorch code",
            "clopsim sweep --loss full --gradient tangent --reduction mean",
        ),
    ),
    "threshold": (
        ("where complete collapse begins to attract", "clopsim threshold collapse --tau 0.2,0.5"),
        ("where the uniform state breaks", "clopsim threshold uniform --samples 200"),
    ),
    "train": (
        ("digits, SimCLR's loss, a large rate", "clopsim train --rate 10 --steps 200 --out run"),
        (
            "your own data (x, y in a file), with prototypes",
            "clopsim train --data my.npz --prototypes orthonormal --weight 1",
        ),
    ),
    "train-sweep": (
        (
            "with and without prototypes, three rates",
            "clopsim train-sweep --loss clop,infonce --rate 0.1,1,10 --out run",
        ),
        ("the second of four shares", "clopsim train-sweep --seeds 8 --out share-2 --shard 2/4"),
    ),
    "verify": (
        ("two theorems", "clopsim verify --only T4,T6"),
        ("everything, to read in a browser", "clopsim verify --report audit.html"),
    ),
    "zoo": (
        ("the protocols that there are", "clopsim zoo"),
        ("one of them, with its data and picture", "clopsim zoo federated --seeds 8 --out run"),
    ),
}
"""By command: what it does, in a few words, and the line to type."""


def epilog(command: str) -> str:
    """The end of a command's --help, in paragraphs of their own lines."""
    lines = (f"# {what}\n{line}" for what, line in EXAMPLES[command])
    return "\n\n".join([*([LEAVES[command]] if command in LEAVES else []), "Examples", *lines]).replace("[", r"\[")
