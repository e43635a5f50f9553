"""Takes known secrets out of text, in the forms in which they travel."""

from __future__ import annotations

import base64
import json
import logging
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST: Final = 4
"""Characters; anything shorter would tear ordinary words apart and protects nothing."""
MASK: Final = "***"
STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Redactor:
    """Replaces secrets in text by `***`: as they are, quoted, in base64 and hashed.

    Overlapping secrets disappear as a whole. `add` takes secrets that arrive during the run, such
    as tokens.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learn further secrets; blanks around them do not count."""
        known = {secret for text in secrets for secret in (text, text.strip())}
        forms = {form for secret in known if len(secret) >= SHORTEST for form in _forms(secret)}
        self._forms |= forms
        if self._forms:
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            # A look-ahead consumes nothing, so that overlapping secrets are all found.
            self._pattern = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))")

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        pattern = self._pattern
        if pattern is None or pattern.search(text) is None:
            return text
        pieces, end = [], 0
        for start, stop in _merged(match.span(1) for match in pattern.finditer(text)):
            pieces += [text[end:start], MASK]
            end = stop
        return "".join([*pieces, text[end:]])

    def clean(self, value: object) -> object:
        """Return a value of a log line or a report without secrets, however deep they are."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self.clean(key): self.clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item) for item in value]
        return value if value is None or isinstance(value, int | float) else self(str(value))


class RedactingFilter(logging.Filter):
    """Takes secrets out of a log record: message, extra fields, exception and stack."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass; the exception becomes text."""
        record.msg, record.args = self._redactor(record.getMessage()), None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        if record.exc_text:
            record.exc_text = self._redactor(record.exc_text)
        if record.stack_info:
            record.stack_info = self._redactor(record.stack_info)
        for name in record.__dict__.keys() - STANDARD_FIELDS:
            setattr(record, name, self._redactor.clean(getattr(record, name)))
        return True


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode(errors="surrogatepass")
    yield secret
    yield quote(raw, safe="")
    yield quote(raw)
    yield quote_plus(raw)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        yield encoded.decode().rstrip("=")
    digest = sha256(raw).hexdigest()
    yield digest
    yield digest.upper()


def _merged(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans, in the order of their starts, that touch or overlap."""
    start, stop = next(spans)
    for next_start, next_stop in spans:
        if next_start <= stop:
            stop = max(stop, next_stop)
        else:
            yield start, stop
            start, stop = next_start, next_stop
    yield start, stop
