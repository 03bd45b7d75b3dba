"""Ids, log lines and counts."""

import json
import logging
import sys

import pytest

from service.telemetry import JsonFormatter, Metrics, _TextFormatter


def build_record(message, *args, **extra):
    record = logging.LogRecord("service", logging.INFO, "x.py", 1, message, args, None)
    record.__dict__.update(extra)
    return record


def test_a_json_line_holds_what_the_access_log_adds():
    entry = json.loads(JsonFormatter().format(build_record("a %s", "b", http={"status": 200})))
    assert (entry["message"], entry["status"], entry["level"]) == ("a b", 200, "info")


def test_a_json_line_is_one_line_with_whatever_is_in_it():
    text = "a\nb\r\u2028\x1b[31m\ud800\"'"
    line = JsonFormatter().format(build_record("%s", text))
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["message"] == text


def test_a_json_line_holds_the_traceback():
    try:
        int("why")
    except ValueError:
        record = build_record("failed")
        record.exc_info = sys.exc_info()
    assert "ValueError: invalid literal" in json.loads(JsonFormatter().format(record))["error"]


@pytest.mark.parametrize("control", ["\n", "\r", "\x1b", "\x00", "\x85", "\u2028", "\x7f"])
def test_a_text_line_shows_no_control_character(control):
    line = _TextFormatter("%(message)s").format(build_record("a%sb", control))
    assert line.isprintable()
    assert line.startswith("a\\")


def test_two_apps_in_one_process_count_apart():
    one, other = Metrics(), Metrics()
    one.images.labels("predicted").inc()
    assert one.registry.get_sample_value("saliency_images_total", {"outcome": "predicted"}) == 1
    assert (
        other.registry.get_sample_value("saliency_images_total", {"outcome": "predicted"}) is None
    )
