"""No secret survives in text, in whichever form it travels."""

from __future__ import annotations

import base64
import io
import json
import logging
from hashlib import sha256
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_job.redact import RedactingFilter, Redactor

SECRET = 'Sim-Pass w0rd!/+"é?~>'


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        urlencode({"key": SECRET}),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        sha256(SECRET.encode()).hexdigest(),
        sha256(SECRET.encode()).hexdigest().upper(),
        json.dumps({"password": SECRET}),
        json.dumps({"password": SECRET}, ensure_ascii=False),
    ],
)
def test_a_secret_is_taken_out_in_every_form(form):
    redacted = Redactor([SECRET])(f"before {form} after")

    assert "Sim" not in redacted
    assert "***" in redacted
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")


@pytest.mark.fault("S2")
def test_a_secret_inside_a_longer_one_leaves_nothing_of_it():
    assert Redactor(["sim-secret", "sim-secret-long"])("x sim-secret-long y") == "x *** y"


@pytest.mark.fault("S2")
def test_secrets_that_overlap_disappear_as_a_whole():
    assert Redactor(["abcdef", "defghi"])("x abcdefghi y") == "x *** y"


def test_secrets_learned_later_are_taken_out_too():
    redactor = Redactor()
    assert redactor("sim-token") == "sim-token"
    redactor.add("sim-token")
    assert redactor("sim-token") == "***"


def test_very_short_values_are_left_alone():
    assert Redactor(["91", ""])("1991 plants") == "1991 plants"


def test_a_line_end_around_a_secret_does_not_matter():
    assert Redactor(["sim-secret\n"])("sim-secret!") == "***!"


@given(
    st.lists(st.text(alphabet="abc.%", min_size=4, max_size=8), max_size=4),
    st.text(alphabet="abc.%", max_size=40),
)
def test_no_secret_is_left_and_other_text_stays_in_order(secrets, text):
    redacted = Redactor(secrets)(text)

    kept = redacted.split("***")
    position = 0
    for piece in kept:
        assert not any(secret in piece for secret in secrets)
        position = text.index(piece, position) + len(piece)


@pytest.fixture
def log():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(extra)s"))
    handler.addFilter(RedactingFilter(Redactor(["sim-secret"])))
    logger = logging.getLogger("tests.redact")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


@pytest.mark.fault("S2")
def test_a_log_line_is_clean_in_message_arguments_fields_exception_and_stack(log):
    logger, stream = log
    try:
        int("sim-secret in an error")
    except ValueError:
        logger.exception(
            "sim-secret %s",
            {"deep": ["sim-secret"]},
            extra={"extra": {"sim-secret": ("sim-secret", 5, None, ValueError("sim-secret"))}},
            stack_info=True,
        )

    written = stream.getvalue()
    assert "sim-secret" not in written
    assert "'*** in an error'" in written
    assert "{'***': ['***', 5, None, '***']}" in written


@pytest.mark.fault("S2")
def test_the_stack_of_a_log_line_is_clean():
    record = logging.makeLogRecord({"msg": "x", "stack_info": "call(sim-secret)"})

    RedactingFilter(Redactor(["sim-secret"])).filter(record)

    assert record.stack_info == "call(***)"


def test_numbers_of_a_log_line_stay_numbers():
    assert Redactor(["sim-secret"]).clean({"total": 5, "share": 0.5, "done": True}) == {
        "total": 5,
        "share": 0.5,
        "done": True,
    }
