from typing import Any

import pytest

from tests.syncjob.builders import ciphers
from vendorsync_job.store.ciphers import UnreadableError

pytestmark = pytest.mark.fault("T9")
ROW: dict[str, Any] = {"account": b"account", "column": "token"}


def test_what_was_encrypted_can_be_read():
    stored = ciphers().encrypt("t0ken", **ROW)

    assert stored.startswith("v1:k1:")
    assert "t0ken" not in stored
    assert ciphers().decrypt(stored, **ROW) == "t0ken"


def test_the_same_token_never_looks_the_same_twice():
    assert ciphers().encrypt("t", **ROW) != ciphers().encrypt("t", **ROW)


def test_after_a_rotation_old_texts_are_read_and_new_ones_written_with_the_new_key():
    old = ciphers().encrypt("t", **ROW)
    rotated = ciphers("k1", "k2", current="k2")

    assert rotated.decrypt(old, **ROW) == "t"
    assert rotated.encrypt("t", **ROW).startswith("v1:k2:")


@pytest.mark.parametrize(
    ("stored", "row"),
    [
        pytest.param(ciphers().encrypt("t", **ROW), {**ROW, "account": b"other"}, id="moved row"),
        pytest.param(ciphers().encrypt("t", **ROW), {**ROW, "column": "x"}, id="moved column"),
        pytest.param(ciphers("k9", current="k9").encrypt("t", **ROW), ROW, id="key gone"),
        pytest.param("eyJhbGciOi.plain.text", ROW, id="plain text"),
        pytest.param("v1:k1:!!:!!", ROW, id="no base64"),
        pytest.param("v1:k1", ROW, id="cut short"),
        pytest.param("", ROW, id="empty"),
    ],
)
def test_what_does_not_belong_there_is_refused(stored, row):
    with pytest.raises(UnreadableError):
        ciphers().decrypt(stored, **row)
