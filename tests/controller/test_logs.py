import json
import logging

from vendorsync_operator.logs import JSONFormatter


def line(message, *arguments, error=None, **extra):
    record = logging.LogRecord("a.b", logging.WARNING, __file__, 1, message, arguments, error)
    vars(record).update(extra)
    return JSONFormatter().format(record)


def test_a_record_is_one_json_object_on_one_line_with_its_extra_fields():
    text = line("applied %s\n", "x", cron_job="acme", key=("n", "a"))

    fields = json.loads(text)
    assert "\n" not in text
    assert fields["message"] == "applied x\n"
    assert (fields["level"], fields["logger"]) == ("warning", "a.b")
    assert (fields["cron_job"], fields["key"]) == ("acme", ["n", "a"])
    assert "args" not in fields


def test_an_error_brings_its_trace_and_an_object_its_text():
    error = (ValueError, ValueError("bad"), None)

    text = line("failed", error=error, what=set)

    assert "ValueError: bad" in json.loads(text)["error"]
    assert json.loads(text)["what"] == "<class 'set'>"
