"""`python -m clopsim` is the command `clopsim`."""

from clopsim.cli import main

main()
