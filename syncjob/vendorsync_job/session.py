"""Lends an account's token to requests and renews it when the vendor forgets it."""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from vendorsync_job.errors import CredentialsRejectedError, TokenExpiredError, VendorRefusedError
from vendorsync_job.tokens import is_fresh, require_sendable, token

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from vendorsync_job.models import Grant, Token
    from vendorsync_job.ports import TokenStore

Answer = TypeVar("Answer")


class AccountSession:
    """The `Session` of `ports` for one account; several threads may share it.

    A token in memory comes first, then the stored one, then a login through the store, which sees
    to it that only one process logs in. `login` is the adapter's `authenticate`; `clock` gives
    aware UTC times. `needed` are the seconds that the run may still take: a stored token that
    would die on the way is renewed at the start. `on_refused` hears of each token that the vendor
    does not know any more, before it is renewed.
    """

    def __init__(
        self,
        store: TokenStore,
        login: Callable[[], Grant],
        clock: Callable[[], datetime],
        *,
        needed: float = 0.0,
        on_refused: Callable[[Token], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._login = login
        self._clock = clock
        self._needed = needed
        self._on_refused = on_refused
        self._held: Token | None = None
        self._lock = threading.Lock()

    def call(self, request: Callable[[Token], Answer]) -> Answer:
        """Run the request; when the vendor does not know the token, renew it and repeat once.

        HTTP 401 says the same of the token the first time, and that the vendor refuses the second.
        Raises CredentialsRejectedError when the renewed token is refused as well, and
        AccountSharedError when tokens have been taken away too often.
        """
        used = self._token()
        try:
            return request(used)
        except TokenExpiredError:
            renewed = self._renewed(used, is_unknown=True)
        except VendorRefusedError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
            renewed = self._renewed(used, is_unknown=False)
        try:
            return request(renewed)
        except TokenExpiredError as error:
            raise CredentialsRejectedError(
                f"{error}, even with a token just renewed: another program may be using the same"
                " account, or the account's rights were changed"
            ) from error

    def _token(self) -> Token:
        with self._lock:
            if self._held is None or not is_fresh(self._held, self._clock()):
                stored = self._store.current()
                if stored is None or not is_fresh(stored, self._clock(), self._needed):
                    stored = self._store.refresh(stored, self._log_in)
                self._held = stored
            return self._held

    def _renewed(self, used: Token, *, is_unknown: bool) -> Token:
        """Return a token other than `used`: another thread's or process's, else a new one.

        Only of one that the vendor says it does not know it may be that somebody took it.
        """
        with self._lock:
            if self._held is None or self._held.value == used.value:
                if is_unknown:
                    self._on_refused(used)
                self._held = self._store.refresh(used, self._log_in)
            return self._held

    def _log_in(self) -> Token:
        return token(require_sendable(self._login()), self._clock())
