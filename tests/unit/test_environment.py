"""The commit that runs, as `vadbench --version` tells it."""

import subprocess

from vadbench.environment import read_commit


def git(folder, *arguments):
    told = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(told, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_outside_a_checkout_there_is_no_commit(tmp_path):
    assert read_commit(tmp_path) is None


def test_a_checkout_tells_its_commit_and_whether_code_has_changed(tmp_path):
    code = tmp_path / "vadbench" / "a.py"
    code.parent.mkdir()
    code.write_text("a = 1\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "notes.txt").write_text("no code")
    assert read_commit(tmp_path) == head
    code.write_text("a = 2\n")
    assert read_commit(tmp_path) == f"{head}+"
