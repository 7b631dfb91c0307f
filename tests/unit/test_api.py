import vadbench


def test_every_public_name_can_be_imported():
    for name in vadbench.__all__:
        assert getattr(vadbench, name).__name__ == name
