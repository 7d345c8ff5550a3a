"""The commands of `outgate`, one file for each group. They ask, call the rooms that do the work, and print."""
