"""`python -m outgate`: the same as `outgate`."""

from outgate.cli.program import main

main()
