"""`python -m outgate`: the same as `outgate`."""

from outgate.cli import main

main()
