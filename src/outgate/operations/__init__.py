"""Everything that a person may look at or change, as operations: who asks is checked, and what is done is recorded."""
