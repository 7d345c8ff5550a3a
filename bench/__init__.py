"""Measures Outgate beside Postfix on the same work, with one generator and one sink. `python -m bench`, as root."""
