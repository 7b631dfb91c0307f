"""A Slurm of one node on this machine for the tests: Debian's packages unpacked into a folder, with
a controller and a daemon on 127.0.0.1; nothing is installed. Needs root and apt-get.
"""

import os
import platform
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PACKAGES = (
    *("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins"),
    *("munge", "libmunge2", "libhwloc15", "liblua5.1-0"),
)
CONFIG = """\
ClusterName=tests
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={next_port}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
PluginDir={library}/slurm-wlm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0
SlurmdTimeout=10
KillWait=5
MailProg=/bin/true
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""


class NoSlurm(Exception):
    """Why there is none here."""


class Cluster:
    """A running Slurm. `environment` is what a command needs to talk to it."""

    def __init__(self, folder: Path, packages: Path, port: int = 16917) -> None:
        self.folder = folder
        root = packages / "root"
        library = root / f"usr/lib/{platform.machine()}-linux-gnu"
        self.binaries = root / "usr/sbin"
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "LD_LIBRARY_PATH": f"{library}/slurm-wlm:{library}",
            "PATH": f"{root}/usr/bin:{self.binaries}:{os.environ['PATH']}",
        }
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        fields = {"folder": folder, "library": library, "port": port, "next_port": port + 1}
        node = platform.node().partition(".")[0]
        text = CONFIG.format(**fields, node=node, cpus=os.cpu_count())
        (folder / "slurm.conf").write_text(text)

    def start(self) -> None:
        """Start both, and wait for the node."""
        self.start_controller()
        self.start_node()

    def start_controller(self) -> None:
        """Start what commands talk to."""
        self._call(self._binary("slurmctld"))

    def start_node(self) -> None:
        """Start the daemon of the node, and wait until it takes jobs."""
        self._call(self._binary("slurmd"), "-d", self._binary("slurmstepd"))
        for _ in range(60):
            if self._call("sinfo", "-h", "-o", "%t").strip() in ("idle", "mix", "alloc"):
                return
            time.sleep(0.5)
        raise NoSlurm(f"no idle node; see {self.folder}")

    def stop(self) -> None:
        """End all of it."""
        with suppress(NoSlurm):
            self._call("scancel", "-u", "root")
        for name in ("slurmd", "slurmctld"):
            self.kill(name)

    def kill(self, name: str, number: int = signal.SIGTERM) -> None:
        """End one of the two."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.folder / f"{name}.pid").read_text()), number)

    def _binary(self, name: str) -> str:
        debian = self.binaries / f"{name}-wlm"  # Debian's names carry it
        return str(debian if debian.exists() else self.binaries / name)

    def _call(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise NoSlurm(f"{command[0]}: {done.stderr.strip()}")
        return done.stdout


def unpack(folder: Path) -> None:
    """Debian's packages of Slurm, unpacked into a folder; once for all runs of the tests.

    Raises:
        NoSlurm: without root, apt-get, or the packages.
    """
    if (folder / "root/usr/bin/sbatch").exists():
        return
    if os.geteuid() != 0:
        raise NoSlurm("needs root: the daemons start jobs as any user")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NoSlurm("needs Debian's apt-get and dpkg")
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    download = ["apt-get", "download", *PACKAGES]
    for command in (download, ["apt-get", "update", "-qq"], download):
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=60)
        if command is download and done.returncode == 0:
            break
    else:
        raise NoSlurm(f"Slurm's packages cannot be fetched: {done.stderr.strip()[-200:]}")
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder / "root")], check=True)
