"""Small files that say they are large: refused within a minute, in less than 1 GiB, in one line."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from one_line import run_apart
from scipy.io import savemat

READ = """
import sys
from pathlib import Path
from vadbench.errors import BadInput
{imports}
for path in map(Path, sys.argv[1:]):
    try:
        {read}
        print("read")
    except BadInput as error:
        print(error)
"""


def read_apart(imports: str, read: str, *paths: Path) -> list[str]:
    """What is said of each file, in a process of its own."""
    said = run_apart(READ.format(imports=imports, read=read), *paths)
    assert len(said) == len(paths), said
    return said


def object_array(path: Path, pickle: bytes) -> Path:
    """An .npy of objects with this pickle."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": (1,)}
        )
        file.write(pickle)
    return path


def test_pickles(tmp_path: Path) -> None:
    nested = b"".join(b"]q%c(h%ch%ce" % (k + 1, k, k) for k in range(60))
    pickles = {
        "doubled": b"\x80\x02]q\x00" + nested + b".",
        "doubled state": b"\x80\x02)q\x00"
        + b"".join(b"h%ch%c\x86q%c" % (k, k, k + 1) for k in range(60))
        + b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x85Rh\x3cb.",
        "memo": b"\x80\x02Nr" + struct.pack("<I", 1 << 28) + b".",
        "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 33) + b".",
        "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 33) + b".",
        "name": b"c" + b"x" * 10**6 + b"\n" + b"y" * 10**6 + b"\n.",
        "long name": b"\x8d" + struct.pack("<Q", 10**6) + b"x" * 10**6 + b"\x8c\x01y\x93.",
        "lists": b"]" * 10**5 + b".",
        "numbered": b"N" + b"\x94" * 10**5 + b".",
        "nested": b"(" * 10**5 + b"t" * 10**5 + b".",
    }
    paths = [object_array(tmp_path / f"{name}.npy", each) for name, each in pickles.items()]
    said = read_apart(
        "from vadbench.features.importers.unpickle import read_entries",
        "read_entries(path)",
        *paths,
    )
    for path, line in zip(paths, said, strict=True):
        assert str(path) in line
        assert len(line) < len(str(path)) + 450


def test_a_shape_with_a_negative_side(tmp_path: Path) -> None:
    array = np.empty(1, object)
    array[0] = np.ones((3, 2), np.float32)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    data = buffer.getvalue()
    assert data.count(b"K\x03K\x02\x86") == 1
    path = tmp_path / "a.npy"
    path.write_bytes(data.replace(b"K\x03K\x02\x86", b"J\xff\xff\xff\xffK\x02\x86"))
    (said,) = read_apart(
        "from vadbench.features.importers.unpickle import read_entries", "read_entries(path)", path
    )
    assert "not a readable .npy" in said


def test_archives_of_zeros(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (3 << 24,)}
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("score.npy", "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(24):
            member.write(bytes(1 << 24))
    assert path.stat().st_size < 1 << 20
    (said,) = read_apart(
        "from vadbench.files.tables import read_frames", "read_frames(path, 'score')", path
    )
    assert "not plausible" in said


def test_numbers_that_no_video_has(tmp_path: Path) -> None:
    box = {"x0": [1], "y0": [1], "x1": [9], "y1": [9], "score": [1], "track": [1]}
    paths = []
    for frame in (4_000_000_000, 1e300, 2**53):
        for suffix in ("csv", "npz", "parquet"):
            table = pd.DataFrame(box | {"frame": [frame]})
            path = tmp_path / f"{frame:g}.{suffix}"
            if suffix == "npz":
                columns = {name: values.to_numpy() for name, values in table.items()}
                np.savez(path, video=["01"], **columns)
            else:
                getattr(table.assign(video="01"), f"to_{suffix}")(path)
            paths.append(path)
    said = read_apart(
        "from vadbench.external.score import score_regions",
        "score_regions(path, path, 100)",
        *paths,
    )
    assert all("frame" in line for line in said), said


def test_pictures_that_no_camera_takes(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    for side in (65500, 5000):
        head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        (tmp_path / f"{side}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 2)
    tiff += struct.pack("<HHII", 256, 4, 1, 60000) + struct.pack("<HHII", 257, 4, 1, 60000)
    (tmp_path / "a.tif").write_bytes(tiff + bytes(40))
    (tmp_path / "a.bmp").write_bytes(
        b"BM"
        + struct.pack("<IHHI", 60, 0, 0, 54)
        + struct.pack("<IiiHH", 40, 60000, 60000, 1, 24)
        + bytes(30)
    )
    said = read_apart(
        "from vadbench.datasets.images import read_image",
        "read_image(path)",
        *sorted(tmp_path.iterdir()),
    )
    assert "read" not in said


def test_matrices_and_rows_of_a_few_bytes(tmp_path: Path) -> None:
    savemat(tmp_path / "zeros.mat", {"x": np.zeros((6000, 6000))}, do_compression=True)
    data = (tmp_path / "zeros.mat").read_bytes()
    assert len(data) < 1 << 20
    savemat(tmp_path / "a.mat", {"x": np.eye(3)})
    small = bytearray((tmp_path / "a.mat").read_bytes())
    at = small.index(struct.pack("<ii", 3, 3))
    small[at : at + 8] = struct.pack("<ii", 1 << 30, 1 << 30)
    (tmp_path / "a.mat").write_bytes(small)
    said = read_apart(
        "from vadbench.features.importers.arrays import read_mat",
        "read_mat(path)",
        tmp_path / "zeros.mat",
        tmp_path / "a.mat",
    )
    assert all("cannot be read as mat" in line for line in said)

    nothing = np.zeros(12_000_000)
    names = pd.Categorical.from_codes(nothing.astype(np.int8), ["01"])
    rows = pd.DataFrame({"video": names, "frame": nothing, "score": nothing})
    rows.to_parquet(tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 1 << 20
    (line,) = read_apart(
        "from vadbench.files.tables import read_frames",
        "read_frames(path, 'score')",
        tmp_path / "a.parquet",
    )
    assert "not plausible" in line


def test_a_crowded_frame(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("random", "same"):
        corner = random.uniform(0, 600, (20_000, 2)) if name == "random" else np.ones((20_000, 2))
        table = {"x0": corner[:, 0], "y0": corner[:, 1], "x1": corner[:, 0] + 40}
        table |= {"y1": corner[:, 1] + 40, "track": np.arange(20_000), "score": corner[:, 0]}
        table |= {"video": np.full(20_000, "01"), "frame": np.zeros(20_000, int)}
        np.savez(tmp_path / f"{name}.npz", **table)
    said = read_apart(
        "from vadbench.external.score import score_regions",
        "score_regions(path, path, 100)",
        tmp_path / "random.npz",
        tmp_path / "same.npz",
    )
    assert said == ["read", "read"]
