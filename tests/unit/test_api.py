from importlib.metadata import version

import vadbench


def test_every_public_name_can_be_imported():
    for name in vadbench.__all__:
        assert getattr(vadbench, name).__name__ == name


def test_the_version_is_that_of_the_distribution():
    assert vadbench.__version__ == version("vadbench")
    assert "__version__" in dir(vadbench)
