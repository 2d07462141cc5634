"""What the authors of the zoo's losses claim, put to the test: one protocol a file, many networks as one stack."""
