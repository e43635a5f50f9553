"""When an account counts as shared: another program takes its token away again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

THEFTS: Final = 3
"""Tokens taken away within THEFT_SPAN that make an account a shared one."""
THEFT_SPAN: Final = timedelta(hours=1)


def is_shared(stolen_at: Sequence[datetime], now: datetime) -> bool:
    """Tell whether three thefts lie within an hour and the last one is less than that ago."""
    return (
        len(stolen_at) >= THEFTS
        and stolen_at[-1] - stolen_at[-THEFTS] <= THEFT_SPAN
        and abs(now - stolen_at[-1]) < THEFT_SPAN
    )
