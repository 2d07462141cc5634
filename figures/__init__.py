"""One script per figure of the project; each draws from clopsim and returns its gap to the theory."""
