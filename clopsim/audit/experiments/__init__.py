"""Small experiments for each theorem: measured on the dynamics, held against the formula in bounds/.

Every experiment takes a factor that its formula is multiplied by (1 by default): with 1.05 or 0.95 each of them fails,
and a test holds that. Float64, seeded; what a finite batch costs is in the tolerance and said in the note.
"""

from clopsim.audit.experiments.experiment import Experiment

__all__ = ["Experiment"]
