"""What is made of an answer's bytes, status and headers."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendorsync_job.answers import (
    INDENTED,
    UnreadableError,
    inflated,
    json_object,
    refusal,
    retry_after,
)
from vendorsync_job.errors import VendorRefusedError


def read(body, *, encoding="", content_type="application/json", limit=1000):
    return json_object([body], encoding=encoding, content_type=content_type, limit=limit)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_gzip_is_inflated(encoding):
    assert read(gzip.compress(b'{"a": 1}'), encoding=encoding) == {"a": 1}


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_plain_bytes_are_read_as_they_are(encoding):
    assert read(b'{"a": 1}', encoding=encoding) == {"a": 1}


@pytest.mark.fault("V9")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e999}', "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"a": "\x00"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ("{}".encode("utf-16"), "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", "more than 64 levels"),
        (b'{"a": ' + b'{"a": ' * 64 + b"1" + b"}" * 65, "more than 64 levels"),
        (b'{"c": ' + b"[" * 300 + b"]" * 300 + b"}", "more than 64 levels"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a": 1, "a": 2}', "same name twice"),
        (b'{"a": 1, "\\u0061": 2}', "same name twice"),
        (b'{"list": [{"b": 1, "a" : 1, "a":2}]}', "same name twice"),
        (b'{"list": [{"a": 1, "a"\n:2}], "x": ":\\":"}', "same name twice"),
        (b'{"a":1,"a" :":1"}', "same name twice"),
        (b'{"a": {"b": ":"}, "a": 2, "c": "::"}', "same name twice"),
        (b'{"a": 1, "a": 2, "b": "\\u003a"}', "same name twice"),
        (b'{"a": 1, "a": 2, "\\u003A": 3}', "same name twice"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b'"text"', "not an object"),
        (b" \n<!DOCTYPE html>", "HTML page"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_json_object_is_refused(body, words):
    with pytest.raises(UnreadableError, match=words):
        read(body, limit=1_000_000)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"a" : {"a":1}, "b":"\\": :\\"", "c": [":", "\\\\", {"a": "x\\"y:"}]}',
         {"a": {"a": 1}, "b": '": :"', "c": [":", "\\", {"a": 'x"y:'}]}),
        (b'{"a":"b:","":":"}', {"a": "b:", "": ":"}),
        (b'{"\\u003a":"\\u003A","a":"\\\\u003a:"}', {":": ":", "a": "\\u003a:"}),
        (b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}", None),
        (b'{"a": ' + b"[" * 63 + b"1, 2" + b"]" * 63 + b"}", None),
        (b'{"a": 18446744073709551616}', {"a": 2.0**64}),
    ],
    ids=["colons", "an empty name", "escaped colons", "deep", "deep with an end", "a large number"],
)  # fmt: skip
def test_colons_levels_and_numbers_that_are_in_order_are_read(body, answer):
    assert answer is None or read(body) == answer
    assert read(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"a": %s}', None),
        (b'{"a": %s, "a": 1}', "same name twice"),
        (b'{"a": %s, "b": "\\u003a", "b": 1}', "same name twice"),
        (b'{"a": %s, "b": ' + b"[" * 63 + b"]" * 63 + b"}", None),
        (b'{"a": %s, "b": ' + b"[" * 64 + b"]" * 64 + b"}", "more than 64 levels"),
        (b'{"a": %s, "b": ' + b"[" * 300 + b"]" * 300 + b"}", "more than 64 levels"),
    ],
    ids=["in order", "twice", "twice, escaped", "deep", "too deep", "much too deep"],
)
def test_a_large_answer_is_looked_at_just_as_closely(body, words):
    body %= b'"' + b"x" * INDENTED + b'"'
    if words is None:
        assert read(body, limit=1_000_000)
    else:
        with pytest.raises(UnreadableError, match=words):
            read(body, limit=1_000_000)


TEXTS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '":"', '"\\u003a"', '"\\":"', '"\\\\u003a"'])
BLANKS = st.sampled_from(["", " ", "\n\t"])


def listed(inside):
    return st.lists(inside, max_size=3).map(lambda items: f"[{','.join(items)}]")


def named(inside):
    member = st.tuples(TEXTS, BLANKS, inside, BLANKS).map(
        lambda parts: f"{parts[0]}{parts[1]}:{parts[3]}{parts[2]}"
    )
    return st.lists(member, max_size=4).map(lambda items: "{" + ",".join(items) + "}")


OBJECTS = named(st.recursive(TEXTS, lambda inside: listed(inside) | named(inside), max_leaves=8))


@given(OBJECTS)
def test_an_object_is_refused_exactly_when_a_name_comes_twice_in_it(text):
    twice = []

    def keep(pairs):
        twice.extend([pairs] * (len(dict(pairs)) < len(pairs)))
        return dict(pairs)

    answer = json.loads(text, object_pairs_hook=keep)

    if twice:
        with pytest.raises(UnreadableError, match="same name twice"):
            read(text.encode())
    else:
        assert read(text.encode()) == answer


def test_a_page_that_calls_itself_html_is_named_as_such():
    with pytest.raises(UnreadableError, match="HTML page"):
        read(b"Sign in", content_type="Text/HTML; charset=UTF-8")


def test_an_encoding_that_was_not_asked_for_is_named():
    with pytest.raises(UnreadableError, match="encoding 'br'"):
        read(b"{}", encoding="br")


@pytest.mark.fault("V9")
def test_the_limit_counts_inflated_bytes():
    assert read(b"{" + b" " * 998 + b"}") == {}
    with pytest.raises(UnreadableError, match="more than"):
        read(gzip.compress(b"{" + b" " * 999 + b"}"), encoding="gzip")


@pytest.mark.fault("V1")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("0", None),
        ("-5", None),
        ("1000000000", 3600),
        ("9" * 5000, 3600),
        ("soon", None),
        ("", None),
        ("１２", None),  # noqa: RUF001 - digits that are no ASCII
        ("Mon, 02 Feb 2026 03:05:05 GMT", 60),
        ("Mon, 02 Feb 2026 03:03:05 GMT", None),
        ("Mon, 02 Feb 2199 03:03:05 GMT", 3600),
        ("Mon, 99 Feb 2026 03:03:05 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form_and_bounded(text, seconds):
    headers = {"Retry-After": text, "Date": "Mon, 02 Feb 2026 03:04:05 GMT"}

    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([b"plain"], "claims to be gzip"),
        ([gzip.compress(b"{}")[:-4]], "cut short"),
        ([gzip.compress(b"{}"), b"more"], "goes on after its end"),
        ([], "cut short"),
    ],
)
def test_a_gzip_stream_that_lies_is_refused(pieces, words):
    with pytest.raises(UnreadableError, match=words):
        list(inflated(pieces))


def test_a_gzip_stream_is_read_in_any_pieces():
    squeezed = gzip.compress(b"x" * 3_000_000)
    single = [squeezed[place : place + 1] for place in range(len(squeezed))]

    assert b"".join(inflated(single)) == b"".join(inflated([squeezed])) == b"x" * 3_000_000
    assert max(map(len, inflated([squeezed]))) <= 1 << 20


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_status_says_which_since_401_may_mean_a_dead_token(status):
    error = refusal(status, {}, "Sim answered GET /list with HTTP 4xx")

    assert isinstance(error, VendorRefusedError)
    assert error.status == status
