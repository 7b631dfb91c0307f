"""Miniatures of NWPU Campus, MSAD, Street Scene and IITB-Corridor in their official layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from video_writer import write_images, write_video

from vadbench.datasets.iitb_corridor import IITBCorridor
from vadbench.datasets.msad import CLASSES, MSAD
from vadbench.datasets.nwpu_campus import NWPUCampus
from vadbench.datasets.street_scene import StreetScene
from vadbench.datasets.xd_violence import XDViolence

HEADER = "name,scenario,total frames,starting frame of anomaly,ending frame of anomaly"
NWPU = {
    "counts": {"train": 2, "test": 2},
    "scenes": {"train": 1, "test": 2},
    "test_frames": 11,
    "anomalous": 3,
}
IITB = {"counts": {"train": 2, "test": 2}, "test_frames": 10, "anomalous": 5}
STREET = {"counts": {"train": 2, "test": 2}, "tracked": 3, "size": (24, 32)}
SMALL_MSAD = {"counts": {"train": 2, "test": 4}, "weak": 3}

SMALL_XD = {
    "counts": {"train": 2, "test": 3, "unlabelled": 1},
    "violent": 2,
    "intervals": 3,
}

TinyXD = type("TinyXD", (XDViolence,), SMALL_XD)
TinyNWPU = type("TinyNWPU", (NWPUCampus,), NWPU)
TinyIITB = type("TinyIITB", (IITBCorridor,), IITB)
TinyStreet = type("TinyStreet", (StreetScene,), STREET)
TinyMSAD = type("TinyMSAD", (MSAD,), SMALL_MSAD)


def write_nwpu(root: Path) -> NWPUCampus:
    """Two cameras; camera D094 has a test video alone; frames 2 to 4 of D001_01 are anomalous."""
    base = root / "NWPUCampusDataset"
    for split, name, frames in (
        ("Train", "D001_01", 7),
        ("Train", "D001_02", 6),
        ("Test", "D001_01", 6),
        ("Test", "D094_01", 5),
    ):
        write_video(base / f"videos/{split}/{name}.avi", frames)
    (base / "groundtruth").mkdir()
    labels = {"D001_01": np.array([0, 0, 1, 1, 1, 0]), "D094_01": np.zeros(5)}
    np.savez(base / "groundtruth/NWPU_Campus_gt.npz", **labels)
    return TinyNWPU(root)


def write_iitb(root: Path) -> IITBCorridor:
    """Frames 1 to 3 of 000209 and the last two of 000210 are anomalous."""
    for number in (1, 2):
        write_video(root / f"Train_IITB_Corridor/Train/{number:06d}/{number:06d}.avi", 6)
    test = root / "Test_IITB-Corridor"
    for name, labels in (("000209", [0, 1, 1, 1, 0, 0]), ("000210", [0, 0, 1, 1])):
        write_video(test / f"Test/{name}/{name}.avi", len(labels))
        folder = test / f"Test_Annotation/Annotation/{name}"
        folder.mkdir(parents=True)
        np.save(folder / f"{name}.npy", np.array(labels, float))
    return TinyIITB(root)


def write_street(root: Path) -> StreetScene:
    """In Test001 track 0 is in frames 1 to 3 and track 4 in frame 2, in Test002 track 0 in frames 0
    and 2: 5 anomalous frames, 3 tracks, 4 events.
    """
    base = root / "StreetScene"
    boxes = {
        "Test001": [(1, 0), (2, 0), (3, 0), (2, 4)],
        "Test002": [(0, 0), (2, 0)],
    }
    for name, frames in (("Train001", 5), ("Train002", 6), ("Test001", 6), ("Test002", 5)):
        folder = base / name[:-3] / name
        write_images(folder, frames, pattern="{:05d}.jpg", first=1)
        if name in boxes:
            lines = [
                f"{frame + 1:05d}.jpg {track} {10 + frame} 12.5 8 9" for frame, track in boxes[name]
            ]
            (folder / f"{name}_gt.txt").write_text("\n".join(lines) + "\n")
    (base / "Test" / "readme").mkdir()
    return TinyStreet(root)


def write_msad(root: Path) -> MSAD:
    """Two normal test videos; Assault_2 is anomalous in frames 2 to 4 (from 1), Fire_10 in all."""
    base = root / "MSAD Dataset"
    for name, frames in (("MSAD_normal_road1", 6), ("MSAD_normal_street_highview2", 5)):
        write_video(base / f"MSAD_normal_training_blur/{name}.avi", frames)
    for number in (10, 2):
        name = f"MSAD_normal_testing_{number}"
        write_video(base / f"MSAD_normal_testing_blur/{name}.avi", 5)
    for name, frames in (("Assault_2", 6), ("Fire_10", 4)):
        write_video(base / f"MSAD_anomaly_blur/{name.rpartition('_')[0]}/{name}.avi", frames)
    for kind in CLASSES:
        (base / "MSAD_anomaly_blur" / kind).mkdir(exist_ok=True)
    lines = [HEADER, "Assault_2,road,6,2,4", "Fire_10,mall,4,1,4"]
    (base / "anomaly_annotation.csv").write_text("\n".join(lines))  # no newline at the end
    return TinyMSAD(root)


FIGHT = "Bad.Boys,1995__#00-10-00_00-10-45_label_B1-0-0"
RIOT = "v=8cTqh9tMz_I__#1_label_B4-G-0"


def write_xd(root: Path) -> XDViolence:
    """Frames 1 and 2 of a fight, frames 0 and 3 to 5 of a riot with an explosion are anomalous."""
    base = root / "XD-Violence"
    for below, name, frames in (
        ("1-1004", "v=aaa__#1_label_A", 6),
        ("1005-2004", "Quiet__#00-00-00_00-01-00_label_A", 5),
        ("1005-2004", "Loud__#00-00-00_00-01-00_label_G", 5),
        ("test_videos", FIGHT, 6),
        ("test_videos", RIOT, 6),
        ("test_videos", "v=bbb__#0_label_A", 5),
    ):
        write_video(base / below / "plain.avi", frames).rename(base / below / f"{name}.avi")
    lines = [f"{FIGHT}.mp4 1 3", f"{RIOT} 0 1 3 9"]
    (base / "annotations.txt").write_text("\n".join(lines))  # no newline at the end
    return TinyXD(root)
