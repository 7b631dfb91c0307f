"""Files that are spelt in another way than they are expected, and text files as editors save
them.
"""

import unicodedata

import pytest

from vadbench.datasets.paths import find_path
from vadbench.errors import BadInput
from vadbench.files.text import read_text


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.mark.parametrize(
    ("there", "name"),
    [
        ("1.avi", "01.avi"),
        ("videos/001.AVI", "Videos/1.avi"),
        (
            unicodedata.normalize("NFD", "Straße/Tür.mp4"),
            unicodedata.normalize("NFC", "Straße/Tür.mp4"),
        ),
        ("Test/test1_GT", "Test/Test001_gt"),
    ],
)
def test_what_is_spelt_in_another_way_is_found(tmp_path, there, name):
    put(tmp_path, there)
    assert find_path(tmp_path, name) == tmp_path / there


def test_what_is_spelt_as_expected_goes_first(tmp_path):
    put(tmp_path, "1.avi", "01.avi")
    assert find_path(tmp_path, "01.avi") == tmp_path / "01.avi"


def test_what_is_not_there_is_left_to_the_caller(tmp_path):
    put(tmp_path, "2.avi")
    assert find_path(tmp_path, "01.avi") == tmp_path / "01.avi"


def test_two_spellings_are_refused_with_both(tmp_path):
    put(tmp_path, "001.avi", "1.avi")
    with pytest.raises(
        BadInput,
        match=(
            r"in doubt \(found and not expected: '001\.avi', '1\.avi'; expected and not found:"
            r" '01\.avi'\)"
        ),
    ):
        find_path(tmp_path, "01.avi")


def test_what_belongs_to_another_name_is_not_taken(tmp_path):
    put(tmp_path, "01.avi")
    with pytest.raises(BadInput, match="in doubt"):
        find_path(tmp_path, "1.avi", ["1.avi", "01.avi"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_is_read_with_and_without_a_mark(tmp_path, encoding):
    (tmp_path / "a.toml").write_text("Tür\n", encoding=encoding)
    assert read_text(tmp_path / "a.toml") == "Tür\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("Tür".encode("utf-16"), "a.toml: written as UTF-16; expected UTF-8"),
        (b"\xfe\xff" + "Tür".encode("utf-16-be"), "a.toml: written as UTF-16"),
        ("gut\nTür".encode("latin-1"), "a.toml: line 2 holds the byte 0xfc, which is not UTF-8"),
    ],
)
def test_other_encodings_are_refused_in_one_line(tmp_path, data, told):
    (tmp_path / "a.toml").write_bytes(data)
    with pytest.raises(BadInput) as raised:
        read_text(tmp_path / "a.toml")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)
