"""Webhooks: endpoints of others that are told of events (Standard Webhooks), by POST, signed, tried again."""
