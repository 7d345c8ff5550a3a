"""The command line itself: the program, the shell that every command runs in, its output and exit statuses."""
