"""`python -m plaingrad`: the command line."""

from plaingrad.cli.main import main

main()
