"""Kill a command before every file operation, one run each, and look at what is left.

    python crashes.py STATE POINTS COMMAND ARGUMENT ...

STATE is a folder; it is copied for each run, and the command runs in the copy. POINTS is how many
of the operations are tried, evenly spread; 0: all. The last line is JSON: how many operations there
are, how many were tried, and what was wrong.

Forks of one process that has imported all that the command needs: a start costs no second then.
"""

import errno
import hashlib
import importlib
import json
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

KILLED = 137
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "shutil.rmtree"),
}
CHANGES = {"run.json"}  # it holds times, as what is known of a network does
NO_EXCHANGE = "NO_EXCHANGE" in os.environ


def refuse(one, other):
    """As a disk that cannot exchange two folders."""
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(one))


def hook(at):
    """Count what changes files, and end this process before one of them."""
    seen = [0]

    def count(event, arguments):
        if event == "open":
            path, mode, flags = arguments
            writes = any(sign in (mode or "") for sign in "wax+") or (flags or 0) & WRITING
            if not writes or str(path).startswith("/dev"):
                return
        elif event not in EVENTS:
            return
        seen[0] += 1
        if seen[0] == at:
            os._exit(KILLED)

    sys.addaudithook(count)
    return seen


def fork(do):
    """What `do` gives in another process, or None where that was killed."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        os.close(source)
        try:
            answer = do()
            with os.fdopen(sink, "w") as file:
                json.dump(answer, file)
            os._exit(0)
        finally:  # an error ends the child, and goes no further
            os._exit(1)
    os.close(sink)
    with os.fdopen(source) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if os.waitstatus_to_exitcode(status) == 0 else None


def preload(modules):
    """Import what a command needs, so that forks start at once."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


def run(folder, command, at=0, said=None):
    """Run the command in a folder: its exit code, the operations and modules; what it prints goes
    to the file `said`.
    """
    said = said or folder.with_suffix(".said")

    def do():
        from vadbench.cli import main
        from vadbench.files import atomic

        if NO_EXCHANGE:
            atomic._exchange = refuse
        os.chdir(folder)
        for number in (1, 2):
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        sys.argv = ["vadbench", *command]
        seen = hook(at)
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            import traceback

            traceback.print_exc()
            code = -1
        sys.stdout.flush()
        sys.stderr.flush()
        return {"code": code, "operations": seen[0], "modules": list(sys.modules)}

    return fork(do)


def contents(folder):
    """The digest of each file that the command decides, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not holds_times(path) and not path.name.startswith(".lock")
    }


def holds_times(path):
    """Whether no two runs write this alike."""
    return path.name in CHANGES or (path.name, path.parts[-3]) == ("manifest.json", "networks")


def hidden(folder):
    """What was left aside."""
    named = [path for path in folder.rglob(".*") if not path.name.startswith(".lock")]
    return [str(path) for path in named if path.name != ".tmp" or any(path.iterdir())]


def losses(folder, before, after):
    """What of the files there were is neither as before nor as after."""

    def look():
        for results in {path.parent for path in folder.rglob("recipes") if path.is_dir()}:
            from vadbench.results.records import Results

            store = Results(results)
            list(store.all_runs())
            for record in store.all_records():
                store.jackknife(record)
                for place in range(len(record.runs)):
                    run = store.run_of(record, place)
                    if run is not None:
                        store.frames(run)
                        store.rows(run)
        return {}

    kept = ("cache", ".tmp", ".parts")
    now = contents(folder)
    lost = [
        path
        for path in before
        if now.get(path) not in (before[path], after.get(path, now.get(path)))
        or (path not in now and path in after)
    ]
    lost = [path for path in lost if not path.startswith(kept)]
    return lost + ([] if fork(look) is not None else ["a record cannot be read"])


def attempt(state, command, at, before, after):
    """What is wrong after a kill at an operation, and after the command has been run again."""
    with tempfile.TemporaryDirectory(dir=state.parent) as place:
        folder = Path(place) / "state"
        shutil.copytree(state, folder, symlinks=True)
        if run(folder, command, at) is not None:
            return [f"{at}: not killed"]
        # there a record may be in its old place's neighbour until the next command
        lost = [] if NO_EXCHANGE else losses(folder, before, after)
        found = [f"{at}: lost {path}" for path in lost]
        again = run(folder, command)
        if again is None or again["code"]:
            found.append(f"{at}: run again: {folder.with_suffix('.said').read_text()[-500:]}")
        now = contents(folder)
        differ = [path for path in {*now, *after} if now.get(path) != after.get(path)]
        return [
            *found,
            *(f"{at}: {path} differs from an undisturbed run" for path in differ),
            *(f"{at}: {path} is left over" for path in hidden(folder)),
        ]


def count_operations(state, command):
    """How many a run has whose modules are loaded: some of them write when they are."""
    with tempfile.TemporaryDirectory(dir=state.parent) as place:
        folder = Path(place) / "state"
        shutil.copytree(state, folder, symlinks=True)
        return run(folder, command)["operations"]


def main(state, points, command):
    """Try the command; what is wrong."""
    with tempfile.TemporaryDirectory(dir=state.parent) as place:
        whole = Path(place) / "state"
        shutil.copytree(state, whole, symlinks=True)
        before = contents(whole)
        done = run(whole, command)
        if done is None or done["code"]:
            return {"wrong": [whole.with_suffix(".said").read_text()]}
        after = contents(whole)
    preload(done["modules"])
    every = range(1, count_operations(state, command) + 1)
    tried = every if not points else [*every][:: max(len(every) // points, 1)]
    wrong = [line for at in tried for line in attempt(state, command, at, before, after)]
    return {"operations": len(every), "tried": len(tried), "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3:])))
