from vadbench.datasets.matching import match_names


def test_names_spelt_alike_are_partners() -> None:
    assert match_names(["b", "a"], ["a", "b"]).partner == {"a": "a", "b": "b"}


def test_zeros_case_and_unicode_forms_do_not_part_names() -> None:
    found = match_names(["1", "CAF\u00c9_2", "Test003"], ["01", "cafe\u0301_02", "test3"])
    assert found.partner == {"1": "01", "CAF\u00c9_2": "cafe\u0301_02", "Test003": "test3"}
    assert not found.lone


def test_two_names_that_could_be_one_are_none() -> None:
    found = match_names(["1", "001"], ["01"])
    assert (found.partner, found.extra, found.missing) == ({}, ("1", "001"), ("01",))
    assert match_names(["1"], ["01", "001"]).partner == {}


def test_an_exact_name_leaves_no_partner_to_its_likes() -> None:
    found = match_names(["01", "1"], ["01"])
    assert found.partner == {"01": "01"}
    assert found.extra == ("1",)


def test_what_has_no_partner_is_named_on_both_sides() -> None:
    lone = match_names(["x"], ["a", "b", "c", "d"]).lone
    assert lone == "found and not expected: 'x'; expected and not found: 'a', 'b', 'c' and 1 others"
