"""What the job knows of an application's table that holds the records of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


class RecordTable(Struct, frozen=True):
    """One table: `columns` are the owned ones that it has, in order, the key not among them.

    `types` are the casts of columns that are not text. A column in `kept` stays as it is when the
    vendor gives no value. `ignored` are optional columns whose type takes no value of ours.
    """

    name: str
    key: str
    columns: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    fillers: Mapping[str, int] = field(default_factory=dict)
    """What columns that must have a value get in a new row where the vendor gives none."""
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    """The smallest number that a numeric column has no room for."""
    stamps: tuple[str, ...] = ("created_at", "updated_at")
    row_security: bool = False
    ignored: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    """Enabled row triggers before INSERT or UPDATE: each may leave a row out without a word."""
    marks_vanished: bool = False
    """The table has a column vanished_at of a type that takes a time."""

    @property
    def row(self) -> tuple[str, ...]:
        """The columns whose values make a `Row`: the key, then the owned ones."""
        return (self.key, *self.columns)

    @property
    def has_history(self) -> bool:
        """Whether most rows are of the past and never listed again."""
        return self.name == "alerts"
