"""`python -m plaingrad`: the command line."""

from plaingrad.cli import main

main()
