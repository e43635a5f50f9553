"""From a vendor's words for a state to ours."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from vendorsync_job.normalise import vendor_words

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

MOST = 20
"""Unknown words that are logged; more would be no words."""


class Words:
    """What the words of one field mean; blanks around them and their case mean nothing.

    A word that is not known means nothing either, and is logged once.
    """

    def __init__(self, field: str, meanings: Mapping[str, str]) -> None:
        self._field = field
        self._folded = {word.casefold(): meaning for word, meaning in meanings.items()}
        self.meanings = dict(meanings)
        """As the manual spells the words."""
        self._unknown: set[str] = set()

    def __call__(self, value: object) -> str | None:
        """Return our word, None for no word or an unknown one."""
        if type(value) is not str:
            return None
        # Each row of each listing comes here, and nearly all are spelled as the manual has them.
        found = self.meanings.get(value) or self._folded.get(value.strip().casefold())
        if found is None and value.strip():
            self._tell(value)
        return found

    def _tell(self, value: str) -> None:
        word = vendor_words(value, 40)
        if word not in self._unknown and len(self._unknown) < MOST:
            self._unknown.add(word)
            logger.warning(
                "the vendor uses a word that is not known; what is stored stays",
                extra={"field": self._field, "word": word},
            )
