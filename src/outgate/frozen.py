"""Dataclasses that nobody changes once they are made, cheap enough to make dozens of for each message.

With `dataclass(frozen=True)` making one takes five times as long, since each field is set past its own guard. So the
guard is the type checker's alone, which takes what `@frozen` decorates for frozen. Knows nothing of what they hold.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """A dataclass with slots, compared and hashed by its fields, and never changed."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
