"""Settings of the operator, and settings that are refused."""

import pytest

from saliency.errors import ConfigError
from service.security import hash_key
from service.settings import Settings, is_loopback, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("SALIENCY_"):
            monkeypatch.delenv(name)


def test_the_defaults_serve_this_machine_alone():
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert settings.api_keys == ()
    assert settings.cors_origins == ()


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("SALIENCY_PORT", "9000")
    monkeypatch.setenv("SALIENCY_TIMEOUT_S", "1.5")
    settings = load_settings()
    assert (settings.port, settings.timeout_s) == (9000, 1.5)


def test_the_command_line_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("SALIENCY_PORT", "9000")
    assert load_settings(port=9001, host=None).port == 9001


def test_lists_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("SALIENCY_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert load_settings().cors_origins == ("https://a.example", "https://b.example")


def test_an_empty_list_is_none(monkeypatch):
    monkeypatch.setenv("SALIENCY_API_KEYS", "")
    assert load_settings().api_keys == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("TIMEOUT_S", "0"),
        ("TIMEOUT_S", "nan"),
        ("MAX_BYTES", "-1"),
        ("MAX_PIXELS", "many"),
        ("QUEUE_LENGTH", "0"),
        ("THREADS", "0"),
        ("RATE_PER_MINUTE", "-1"),
        ("LOG_FORMAT", "xml"),
        ("AUTH", "maybe"),
        ("PRECISION", "float8"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(monkeypatch, name, value):
    monkeypatch.setenv(f"SALIENCY_{name}", value)
    with pytest.raises(ConfigError, match=f"^SALIENCY_{name}: ") as caught:
        load_settings()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["secret", hash_key("a")[:-1], hash_key("a").upper(), "0" * 65])
def test_a_key_that_is_no_hash_is_refused_and_not_repeated(key):
    with pytest.raises(ConfigError, match="--new-key") as caught:
        load_settings(api_keys=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", ""])  # noqa: S104
def test_a_host_that_others_reach_needs_keys_or_a_word(host):
    with pytest.raises(ConfigError, match="SALIENCY_AUTH=off"):
        load_settings(host=host)
    assert load_settings(host=host, auth="off").host == host
    assert load_settings(host=host, api_keys=hash_key("a")).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_none(host):
    assert is_loopback(host)
    assert load_settings(host=host).host == host


def test_settings_do_not_change_while_serving():
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1
