"""Listeners, sessions, log-in and limits: how a submission becomes a message in the queue. Never imports deliver/."""
