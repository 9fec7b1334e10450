from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimind.errors import ConfigError, SealRefused
from optimind.sealing import PLAIN, Purpose, Sealer, SealingKey, fingerprint_of, is_sealed, new_key_text

KEY, OTHER = SealingKey(bytes(range(32))), SealingKey(bytes(32))
SEALER = Sealer(KEY)


@given(data=st.binary(max_size=300), purpose=st.sampled_from(Purpose))
@settings(deadline=None)
def test_what_is_sealed_comes_back_and_is_nowhere_in_it(data: bytes, purpose: Purpose) -> None:
    sealed = SEALER.seal(data, purpose)
    assert is_sealed(sealed)
    assert len(data) < 8 or data not in sealed[16:]
    assert SEALER.open(sealed, purpose, "it") == data
    assert SEALER.seal(data, purpose) != sealed  # another nonce each time
    assert fingerprint_of(sealed) == KEY.fingerprint


@given(data=st.binary(min_size=1, max_size=60), flip=st.data())
@settings(deadline=None)
def test_no_bit_can_be_changed(data: bytes, flip: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal(data, Purpose.SHOT))
    # Whose first bytes are changed is no sealed piece any more; all else is covered by the tag.
    at = flip.draw(st.integers(15, len(sealed) - 1))
    sealed[at] ^= 1 << flip.draw(st.integers(0, 7))
    with pytest.raises(SealRefused):
        SEALER.open(bytes(sealed), Purpose.SHOT, "it")


def test_a_piece_of_one_store_is_none_of_another() -> None:
    sealed = SEALER.seal(b"a face", Purpose.SHOT)
    with pytest.raises(SealRefused, match="changed after it was encrypted"):
        SEALER.open(sealed, Purpose.VISITOR, "it")


def test_without_a_key_nothing_is_sealed_and_nothing_sealed_is_opened() -> None:
    assert PLAIN.seal(b"x", Purpose.SHOT) == b"x"
    assert PLAIN.open(b"x", Purpose.SHOT, "it") == SEALER.open(b"x", Purpose.SHOT, "it") == b"x"
    with pytest.raises(SealRefused, match=f"the shot is encrypted with the key {KEY.fingerprint}, and no key") as none:
        PLAIN.open(SEALER.seal(b"x", Purpose.SHOT), Purpose.SHOT, "the shot")
    assert "privacy: key:" in none.value.mend
    with pytest.raises(SealRefused, match=f"{KEY.fingerprint}, and the key that is set is {OTHER.fingerprint}"):
        Sealer(OTHER).open(SEALER.seal(b"x", Purpose.SHOT), Purpose.SHOT, "the shot")


def test_a_change_of_keys_reads_both() -> None:
    both = Sealer(OTHER, (KEY,))
    old, new = SEALER.seal(b"x", Purpose.SHOT), both.seal(b"x", Purpose.SHOT)
    assert [both.open(each, Purpose.SHOT, "it") for each in (old, new)] == [b"x", b"x"]
    assert [both.is_current(each) for each in (old, new, b"x")] == [False, True, False]
    assert [PLAIN.is_current(each) for each in (old, b"x")] == [False, True]


def test_a_newer_form_is_said() -> None:
    sealed = bytearray(SEALER.seal(b"x", Purpose.SHOT))
    sealed[15] = 2
    with pytest.raises(SealRefused, match="newer OptiMind"):
        SEALER.open(bytes(sealed), Purpose.SHOT, "it")


def test_a_key_is_read_as_it_was_written_and_never_shown() -> None:
    text = new_key_text()
    key = SealingKey.from_text(f"{text}\n", "here")
    assert key == SealingKey.from_text(text, "there")
    assert key.fingerprint != KEY.fingerprint
    assert key.secret.hex() not in f"{key!r}{Sealer(key)!r}"
    assert text.partition(":")[2] not in repr(key)
    assert len({key.derived(purpose) for purpose in Purpose}) == len(Purpose)


@pytest.mark.parametrize("text", ["", "secret", "optimind-key-1:", "optimind-key-1:AAAA", "optimind-key-1:!", "ü"])
def test_what_is_no_key_is_said_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError, match="here holds no key of OptiMind") as caught:
        SealingKey.from_text(text, "here")
    assert "optimind privacy key new" in caught.value.mend
    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is None
