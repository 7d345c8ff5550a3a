"""Run by Alembic for each command: works on the connection, and in the transaction, that store.engine hands it."""

from alembic import context

from outgate.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
