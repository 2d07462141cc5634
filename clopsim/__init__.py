"""clopsim: simulate contrastive learning and hold it against the theory in `bounds`.

The rooms, from the top floor down: cli; lab, lessons; runs (what outlives a process); audit and training; sphere (free
embeddings) and show; metrics and losses. Imports only go down. Nothing is imported here, so that the command line
answers `--help` without torch.
"""

__all__: list[str] = []
