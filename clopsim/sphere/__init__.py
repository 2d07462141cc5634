"""Free embeddings under gradient descent: starts, the step, what becomes of a run, the thresholds."""
