"""What a loss does to embeddings, whosever it is: its spectra by autograd, its critical rates, and both simulated."""
