"""Kept models: whole or not at all, equal to what was fitted, and refused in one line where
something is wrong.
"""

import json
import shutil
import zipfile

import numpy as np
import pytest
from kept_models import fitted, keep

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.features.follow import FrameRows
from vadbench.files.canonical import canonical_hash
from vadbench.models.fits import fits_folder, read_fit, remove_fits
from vadbench.models.manifest import MANIFEST, read_plan
from vadbench.models.scoring import Part
from vadbench.models.store import (
    export_model,
    find_model,
    list_models,
    read_model,
    remove_model,
    unpack_model,
)
from vadbench.testing import synthetic_rows


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return keep(tmp_path_factory.mktemp("results"))


@pytest.fixture
def kept(made, tmp_path):
    """A copy that a test may damage."""
    folder = tmp_path / "models" / made.folder.name
    shutil.copytree(made.folder, folder)
    return read_model(folder)


def rewrite(folder, change, sealed=True):
    """Edit a manifest; sealed: as its writer would have written it."""
    path = folder / MANIFEST
    document = json.loads(path.read_text())
    change(document)
    if sealed:
        document.pop("sha256")
        document["sha256"] = canonical_hash(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("method", registry.names("detectors"))
def test_a_kept_method_scores_as_the_fitted_one_to_the_bit(method, tmp_path):
    try:
        detector = fitted(method)
    except BadInput as error:
        pytest.skip(str(error))  # a method of rows of another kind
    test = synthetic_rows(100, videos=2, seed=1)
    model = read_model(keep(tmp_path, method, detector).folder)
    folder = model.folder / model.manifest.fits[0].detectors[""]
    again = registry.load("detectors", method).load(folder)
    assert np.array_equal(again.score(test), detector.score(test))


NEARLY = ("autoencoder", "ocsvm")  # their last rows of a whole test set: docs/watch.md


@pytest.mark.parametrize("method", registry.names("detectors"))
def test_few_rows_score_as_in_a_whole_video_to_the_bit(method, tmp_path):
    try:
        detector = fitted(method)
    except BadInput as error:
        pytest.skip(str(error))
    manifest = keep(tmp_path, method, detector).manifest
    part = Part(manifest.result.parts[0], manifest.fits[0], detector, 0, None)
    test = synthetic_rows(300, videos=3, seed=1)
    whole, ends = detector.score(test)[:, 0], np.cumsum([1, 2, 3, 5, 40, 1, 70, 33])
    for rows in np.split(np.arange(ends[-1]), ends[:-1]):
        frame = FrameRows(test.x[rows], None, np.arange(len(rows)))
        if method in NEARLY:
            np.testing.assert_allclose(part.score(frame), whole[rows], rtol=1e-6)
        else:
            assert np.array_equal(part.score(frame), whole[rows])


def test_a_manifest_says_what_was_trained(made):
    manifest = made.manifest
    fit = manifest.fits[0]
    assert manifest.name == "synthetic/magnitude@velocity:0"
    assert manifest.result.protocol.smoothing == 3
    assert read_plan(fit.stream).name == "velocity"
    assert fit.row.read(0).minimum.shape == (1,)
    assert set(manifest.files) == {
        "part-0/detector-0/detector.json",
        "part-0/detector-0/model.safetensors",
    }
    assert manifest.threshold is None


def test_statistics_keep_every_bit(made):
    statistics = made.manifest.fits[0].row.read(0)
    detector = registry.load("detectors", "magnitude").load(made.folder / "part-0" / "detector-0")
    from kept_models import TRAIN

    scores = detector.score_normal(TRAIN)[:, 0]
    assert statistics.mean[0] == scores.mean()
    assert statistics.p999[0] == np.percentile(scores, 99.9)


@pytest.mark.parametrize("name", ["model.safetensors", "detector.json"])
def test_a_damaged_file_is_named(kept, name):
    path = kept.folder / "part-0" / "detector-0" / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BadInput, match=f"{name}: damaged or edited"):
        read_model(kept.folder)


def test_a_file_that_was_moved_away_is_named(kept):
    (kept.folder / "part-0" / "detector-0" / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"model.safetensors: not there, the model is not whole"):
        read_model(kept.folder)


def test_an_edited_manifest_is_refused(kept):
    rewrite(kept.folder, lambda it: it["fits"][0].update(train_rows=7), sealed=False)
    with pytest.raises(BadInput, match=r"model.json: damaged or edited, its sha256"):
        read_model(kept.folder)


def test_a_model_of_another_format_is_refused(kept):
    rewrite(kept.folder, lambda it: it.update(format=1))
    with pytest.raises(BadInput, match="a model in format 1, this vadbench reads format 2"):
        read_model(kept.folder)


@pytest.mark.parametrize("place", ["../evil", "/evil", "a/../../evil", "C:/evil"])
def test_a_file_outside_of_the_model_is_refused(kept, place):
    def add(document):
        document["files"][place] = {"bytes": 0, "sha256": "0" * 64}

    rewrite(kept.folder, add)
    with pytest.raises(BadInput, match="damaged or edited"):
        read_model(kept.folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2, "sha256": 1}', "null"])
def test_what_is_no_manifest_is_refused(kept, text):
    (kept.folder / MANIFEST).write_text(text)
    with pytest.raises(BadInput, match="damaged or edited"):
        read_model(kept.folder)


def test_an_archive_holds_the_model(kept, tmp_path):
    export_model(kept, tmp_path / "one.zip")
    again, temporary = unpack_model(tmp_path / "one.zip")
    assert again.manifest == kept.manifest
    temporary.cleanup()
    export_model(kept, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_folder_holds_the_model_and_replaces_nothing(kept, tmp_path):
    export_model(kept, tmp_path / "copy")
    assert read_model(tmp_path / "copy").manifest == kept.manifest
    with pytest.raises(BadInput, match="is there already"):
        export_model(kept, tmp_path / "copy")


def test_a_damaged_model_is_not_exported(kept, tmp_path):
    (kept.folder / "part-0" / "detector-0" / "model.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="damaged"):
        export_model(kept, tmp_path / "one.zip")
    assert not (tmp_path / "one.zip").exists()


def test_a_damaged_archive_is_named_and_leaves_nothing(kept, tmp_path):
    path = tmp_path / "one.zip"
    export_model(kept, path)
    data = bytearray(path.read_bytes())
    data[data.index(b"safetensors") + 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"one.zip: .*damaged or edited"):
        unpack_model(path)
    path.write_bytes(bytes(data[:100]))
    with pytest.raises(BadInput, match="no archive of a model"):
        unpack_model(path)


def test_an_archive_gives_no_more_than_the_manifest_states(kept, tmp_path):
    path = tmp_path / "one.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(kept.folder / MANIFEST, MANIFEST)
        for name in kept.manifest.files:
            archive.writestr(name, b"\0" * 10**7)
    with pytest.raises(BadInput, match="damaged or edited"):
        unpack_model(path)


@pytest.mark.parametrize(
    "text", ["magnitude@velocity", "synthetic/magnitude@velocity", "magnitude@velocity:0"]
)
def test_a_model_is_found_by_its_name(kept, tmp_path, text):
    assert find_model(tmp_path, text).folder == kept.folder


def test_a_model_is_found_by_its_identity_and_its_place(kept, tmp_path):
    assert find_model(tmp_path, kept.manifest.identity[:6]).folder == kept.folder
    assert find_model(tmp_path, str(kept.folder)).folder == kept.folder


def test_an_unknown_name_lists_what_there_is(kept, tmp_path):
    with pytest.raises(BadInput, match=r"there are: synthetic/magnitude@velocity:0"):
        find_model(tmp_path, "knn@velocity")
    with pytest.raises(BadInput, match="vadbench train METHOD"):
        find_model(tmp_path / "nowhere", "knn@velocity")


def test_a_damaged_model_is_listed_as_one(kept, tmp_path):
    (kept.folder / MANIFEST).write_text("{}")
    (found,) = list_models(tmp_path)
    assert isinstance(found, BadInput)


def test_a_removed_model_is_gone(kept, tmp_path):
    remove_model(kept)
    assert list(list_models(tmp_path)) == []
    assert not list((tmp_path / "models").iterdir())


def test_fits_wait_until_they_are_removed(tmp_path):
    kept = keep(tmp_path)
    run = kept.manifest.fits[0].identity
    assert read_fit(tmp_path, run) is not None
    (fits_folder(tmp_path) / run[:12] / "fit.json").write_text("{}")
    assert read_fit(tmp_path, run) is None
    remove_fits(tmp_path, {run})
    assert not fits_folder(tmp_path).exists()
