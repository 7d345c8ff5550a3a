"""Measures what hard conditions do to Outgate, against what may be at most. `python -m hard`; hard/README.md."""
