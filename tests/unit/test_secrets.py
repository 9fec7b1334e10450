"""Secrets: only named, never shown; and URLs without passwords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optimind.errors import ConfigError
from optimind.plugin_api import Secret, Settings, mask_url


class MailSettings(Settings):
    password: Secret


def make(value: Any, base: Path | None = None) -> Secret:
    return MailSettings.model_validate({"password": value}, context={"base": base}).password


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hunter2", "{env: NAME} for an environment variable, or {file: PATH}"),
        (12345, "{env: NAME} for an environment variable, or {file: PATH}"),
        (["hunter2"], "{env: NAME} for an environment variable, or {file: PATH}"),
        ({}, "does not say where the secret is"),
        ({"env": None}, "does not say where the secret is"),
        ({"env": "A", "file": "b"}, "names two places"),
        ({"env": "$PASSWORD"}, "without $"),
        ({"env": "hunter2!"}, "the name alone"),
        ({"env": ""}, "the name alone"),
        ({"evn": "hunter2"}, "Extra inputs"),
    ],
)
def test_anything_but_a_place_is_refused_without_repeating_it(value: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(value)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_a_variable_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = make({"env": "MAIL_PASSWORD"})
    monkeypatch.setenv("MAIL_PASSWORD", " hunter2 ")
    assert secret.reveal() == " hunter2 "
    assert secret.describe() == "environment variable MAIL_PASSWORD"
    assert secret.path is None


def test_a_file_is_taken_from_the_settings_folder(tmp_path: Path) -> None:
    secret = make({"file": "keys/mail.txt"}, base=tmp_path)
    assert secret.path == tmp_path / "keys/mail.txt"
    assert secret.describe() == f"file {tmp_path / 'keys/mail.txt'}"
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/mail.txt").write_bytes(b"\xef\xbb\xbfhunt\ner2 \r\n")
    assert secret.reveal() == "hunt\ner2 "


def test_paths_without_a_settings_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Secret(file=Path("a")).path == tmp_path / "a"
    assert make({"file": "~/a"}).path == tmp_path / "home/a"
    assert make({"file": "/etc/a"}, base=tmp_path).path == Path("/etc/a")
    assert make({"file": 12}, base=tmp_path).path == tmp_path / "12"


def test_no_form_of_a_secret_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    settings = MailSettings(password=Secret(env="MAIL_PASSWORD"))
    settings.password.reveal()
    shown = [
        repr(settings),
        str(settings),
        str(settings.password),
        str(settings.model_dump()),
        settings.model_dump_json(),
    ]
    assert not any("hunter2" in text for text in shown)
    assert all("MAIL_PASSWORD" in text for text in shown)
    assert settings.model_dump() == {"password": {"env": "MAIL_PASSWORD"}}
    assert MailSettings.model_validate(settings.model_dump()) == settings
    assert make({"file": "/a"}).model_dump() == {"file": "/a"}


@pytest.mark.parametrize(("value", "said"), [(None, "is not set"), ("", "is empty"), (" \n", "is empty")])
def test_a_variable_that_does_not_help(value: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("MAIL_PASSWORD", value)
    with pytest.raises(ConfigError, match=f"MAIL_PASSWORD {said}") as caught:
        Secret(env="MAIL_PASSWORD").reveal()
    assert "MAIL_PASSWORD" in caught.value.mend


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (1024 * 1024 + 1), "over 1 MiB"),
    ],
)
def test_a_file_that_does_not_help(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        Secret(file=path).reveal()
    assert str(path) in caught.value.message
    assert caught.value.mend


@pytest.mark.parametrize(
    ("name", "said"), [(".", "is a folder"), ("file/x", "cannot be read"), ("a\0b", "cannot be read")]
)
def test_a_path_that_is_no_file(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=said):
        Secret(file=tmp_path / name).reveal()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("no address: user:pass@host", "no address: user:pass@host"),
        ("rtsp://user:pass@10.0.0.7/stream", "rtsp://***@10.0.0.7/stream"),
        ("rtsp://10.0.0.7:554/stream?channel=1", "rtsp://10.0.0.7:554/stream?channel=1"),
        ("rtsp://p:a@ss/w@rd@10.0.0.7/s", "rtsp://***@10.0.0.7/s"),
        ("rtsp://admin:a/b#c?d@10.0.0.7/s", "rtsp://***@10.0.0.7/s"),
        ("rtsp://admin:two words@10.0.0.7/s", "rtsp://***@10.0.0.7/s"),
        ("https://ghp_token@example.org/x", "https://***@example.org/x"),
        ("cannot open 'http://u:p@h/x', 'http://h/y'", "cannot open 'http://***@h/x', 'http://h/y'"),
        ("a http://u:p@h/x, b rtsp://u:p@i", "a http://***@h/x, b rtsp://***@i"),
        ("http://h:8080/x.cgi?user=a&pwd=b&q=1", "http://h:8080/x.cgi?user=a&pwd=***&q=1"),
        ("'http://h/?token=abc'", "'http://h/?token=***'"),
        ("http://h/?API_KEY=abc#x and more", "http://h/?API_KEY=*** and more"),
        ("rtsp://h/user=a_password=b_channel=1", "rtsp://h/user=a_password=***"),
        ("http://h:80/?pwd=a@b", "http://***"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://h:8080: timed out", "http://h:8080: timed out"),
        ("http://h/picture@2x.png", "http://h/picture@2x.png"),
        ("postgresql+psycopg://optimind:pw@db/x", "postgresql+psycopg://***@db/x"),
        ("sqlite:////data/optimind.db", "sqlite:////data/optimind.db"),
        ("rtsp://admin:half", "rtsp://***"),
    ],
)
def test_what_a_url_hides_is_hidden(text: str, masked: str) -> None:
    assert mask_url(text) == masked


# A blank ends a URL in a text; "://" begins the next one. With anything else a password may be made of.
PART = st.text(st.characters(exclude_categories=["Z", "C"]), max_size=12).filter(lambda text: "//" not in text)
USER = PART.filter(lambda text: not set("/?#:@") & set(text))


@given(
    user=USER,
    before=PART,
    after=PART,
    port=st.sampled_from(["", ":554"]),
    prose=st.sampled_from(["", "cannot open ", "'"]),
)
def test_no_password_passes(user: str, before: str, after: str, port: str, prose: str) -> None:
    text = f"{prose}rtsp://{user}:{before}S3CRET{after}@10.0.0.7{port}/stream"
    masked = mask_url(text)
    assert "S3CRET" not in masked
    assert masked.startswith(f"{prose}rtsp://***")
    # Where an = follows a word like "token" the rest may be hidden with it; else the machine's name must stay.
    assert "=" in text or masked == f"{prose}rtsp://***@10.0.0.7{port}/stream"


@given(
    key=st.sampled_from(["token", "password", "access_token", "pwd", "pass", "api_key", "loginpas", "X-Amz-Signature"]),
    before=PART,
    after=PART,
    host=st.sampled_from(["10.0.0.7", "10.0.0.7:8080", "u:p@10.0.0.7"]),
)
def test_no_query_token_passes(key: str, before: str, after: str, host: str) -> None:
    value = f"{before}S3CRET{after}".replace("&", "")
    assert "S3CRET" not in mask_url(f"http://{host}/video?user=admin&{key}={value}&channel=1")


@given(st.text())
def test_masking_leaves_other_text_alone_and_once_is_enough(text: str) -> None:
    masked = mask_url(text)
    assert mask_url(masked) == masked
    assert "://" in text or masked == text


@given(st.lists(st.sampled_from(["://", "@", ":", "/", " ", "\n", "token=", "a", "9", "&", "***", "'"]), max_size=20))
def test_masking_twice_changes_nothing(parts: list[str]) -> None:
    masked = mask_url("".join(parts))
    assert mask_url(masked) == masked


def test_a_long_text_is_masked_in_reasonable_time() -> None:
    text = "token" * 20_000 + "://" + "pass" * 20_000 + "a:" * 20_000
    assert mask_url(text).startswith("token")
