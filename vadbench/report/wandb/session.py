"""One W&B run: started quietly and privately. The only module that starts the library."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vadbench.errors import BadInput
from vadbench.files.printable import visible
from vadbench.results.records import Results

if TYPE_CHECKING:
    import wandb

Mode = Literal["offline", "online"]
MODES: tuple[str, ...] = get_args(Mode)
ID_LENGTH = 12  # as in the records' folder names; W&B takes up to 64 characters
MARK = "vadbench.json"

QUIET = {"silent": True, "console": "off"}  # nothing is printed, and nothing printed is captured
# no source, no git state, no host name, no hardware, no packages: what matters of them is in the
# records
PRIVATE = {
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "save_code": False,
    "host": "",
    "program": "vadbench",
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
# what a sweep's or a launch's agent, or a user for runs of his own, says of the next run: ours are
# what their records are
OF_OTHER_RUNS = (
    *(
        "WANDB_SWEEP_ID",
        "WANDB_SWEEP_PARAM_PATH",
        "WANDB_LAUNCH",
        "WANDB_LAUNCH_CONFIG_PATH",
        "WANDB_CONFIG_PATHS",
    ),
    *(
        "WANDB_RUN_ID",
        "WANDB_RESUME",
        "WANDB_RESUME_FROM",
        "WANDB_FORK_FROM",
        "WANDB_NAME",
        "WANDB_RUN_NAME",
        "WANDB_PROJECT",
    ),
    *(
        "WANDB_RUN_GROUP",
        "WANDB_JOB_TYPE",
        "WANDB_RUN_JOB_TYPE",
        "WANDB_TAGS",
        "WANDB_RUN_TAGS",
        "WANDB_NOTES",
        "WANDB_RUN_NOTES",
    ),
)
SETTINGS = {
    "sagemaker_disable": True,  # there the library would take the training job's name for the id
    "use_dot_wandb": False,
    # a job's config is given with its curves, and again, with more in it, with its metrics
    "allow_val_change": True,
    "finish_timeout": 300.0,  # what is not sent by then stays on disk, for `wandb sync`
}


class NotInstalled(BadInput):
    """The library is not there."""


def library() -> Any:
    """The package wandb.

    Raises:
        NotInstalled: where it is absent, with the command that installs it.
    """
    try:
        import wandb
    except ModuleNotFoundError as error:
        if error.name != "wandb":
            raise
        raise NotInstalled(
            "Weights & Biases is not installed; pip install 'vadbench[wandb]'"
        ) from error
    return wandb


@dataclass(frozen=True)
class Target:
    """Where runs go.

    Attributes:
        mode: offline: everything stays on this disk, for `wandb sync`; online: it is also sent.
        folder: the results folder; W&B's own files lie in its folder `wandb`.
        project: W&B's project.
    """

    mode: Mode
    folder: Path
    project: str = "vadbench"


def start(target: Target, identity: str, **described: Any) -> wandb.Run:
    """A W&B run, new or, where the server knows its id, continued.

    The caller finishes it: it is a context manager.

    Args:
        target: where it goes.
        identity: what its id is the beginning of.
        described: `name`, `group`, `job_type`, `config` of wandb.init.

    Raises:
        NotInstalled: where the library is absent.
        BadInput: online, where no key of an account is known; nobody is asked for one. In a process
            in which a sweep has been set up.
        Exception: whatever the library raises.
    """
    wandb = library()
    target.folder.mkdir(parents=True, exist_ok=True)
    # its log file is of no use here, and on a full disk every line of it is a traceback
    logging.getLogger("wandb").setLevel(logging.CRITICAL)
    with _without(OF_OTHER_RUNS):
        # the library's warnings follow the settings of the process, not those of the run
        session = wandb.setup(wandb.Settings(**QUIET))
        if session.settings.sweep_id or session.settings.launch:
            raise BadInput(
                "this process works for an agent of Weights & Biases, which gives runs its own id;"
                " publish with `vadbench publish wandb`"
            )
        if (
            target.mode == "online"
            and wandb.run is None
            and not wandb.login(prompt=False, verify=False)
        ):
            raise BadInput(
                "no key of a Weights & Biases account; run `wandb login`, set WANDB_API_KEY, or"
                " stay offline"
            )
        _wait_for_a_free_folder(target, identity)
        run = wandb.init(
            mode=target.mode,
            dir=target.folder.absolute(),
            project=target.project,
            id=identity[:ID_LENGTH],
            resume="allow",
            reinit="create_new",  # the user's own run, where there is one, stays the current one
            settings=wandb.Settings(**QUIET, **PRIVATE, **SETTINGS),
            **described,
        )
    if target.mode == "offline":
        _keep_files_beside(run)
    return run  # type: ignore[no-any-return]


def _keep_files_beside(run: Any) -> None:
    """Have the files of what a run logs lie in its folder, and be named from where the process
    works: the library puts tables below the user's home, and absolute paths into the run's file.
    """
    folder, log = Path(run.dir).absolute().parent, run.log_artifact

    def log_beside(artifact: Any, *args: Any, **options: Any) -> Any:
        for entry in (one for one in artifact.manifest.entries.values() if one.local_path):
            path = Path(entry.local_path).absolute()
            if not path.is_relative_to(folder):
                beside = folder / "tables" / path.name
                beside.parent.mkdir(exist_ok=True)
                path = Path(shutil.copyfile(path, beside))
            entry.local_path = os.path.relpath(path)
        return log(artifact, *args, **options)

    run.log_artifact = log_beside


@contextmanager
def _without(variables: Iterable[str]) -> Iterator[None]:
    """The environment without these variables inside the block."""
    taken = {name: os.environ.pop(name) for name in variables if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def _wait_for_a_free_folder(target: Target, identity: str) -> None:
    """W&B names a run's folder by its id and the local time to the second: within one second the
    same run would be written over itself.
    """
    while list(
        (target.folder / "wandb").glob(
            f"*run-{datetime.now():%Y%m%d_%H%M%S}-{identity[:ID_LENGTH]}"
        )
    ):
        time.sleep(0.05)


def mark(target: Target, run: wandb.Run, content: str | None) -> None:
    """Say in the folder of a finished run what is in it: the hash of what was published, or None
    for training curves.

    Raises:
        OSError: on a full disk, which the library does not tell of.
    """
    # a link below the user's home, to what the library did
    (Path(run.dir).parent / "logs" / "debug-core.log").unlink(missing_ok=True)
    document = {"id": run.id, "content": content, "project": target.project, "mode": target.mode}
    Results(target.folder).write_text(
        f"wandb/{Path(run.dir).parent.name}/{MARK}", json.dumps(document) + "\n"
    )


def marks(target: Target) -> dict[str, str | None]:
    """By id, what `mark` last said of the runs that went to this target and whose folders are
    there.
    """
    # a folder's name begins with its time
    paths = sorted((target.folder / "wandb").glob(f"*run-*/{MARK}"))
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return {
        each["id"]: each["content"]
        for each in documents
        if (each["project"], each["mode"]) == (target.project, target.mode)
    }


_failed: set[Path] = set()


def failed(folder: Path) -> bool:
    """Whether W&B has failed for this folder in this process."""
    return folder in _failed


def warn(folder: Path, error: Exception) -> None:
    """Say on stderr, once a process, that W&B does not work; the folder is left alone from then
    on.
    """
    if folder not in _failed:
        _failed.add(folder)
        told = (
            str(error)
            if isinstance(error, BadInput)
            else f"{type(error).__name__}: {' '.join(str(error).split())}"
        )
        sys.stderr.write(f"vadbench: nothing more is logged to Weights & Biases: {visible(told)}\n")
