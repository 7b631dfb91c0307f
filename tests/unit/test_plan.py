from dataclasses import replace

import pytest

from vadbench.errors import BadInput
from vadbench.locations import suites_root
from vadbench.plans.plan import plan_suite
from vadbench.suite import make_suite, parse_settings, read_suite, suite_names, vary


@pytest.fixture(autouse=True)
def _no_real_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def rendered(street_cache, monkeypatch):
    """The synthetic street: which videos there are decides what the unsupervised setting is."""
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))


def plan(**fields):
    return plan_suite(make_suite({"methods": ("gmm",), "datasets": ("synthetic",), **fields}))


def identity(**fields):
    (job,) = plan(**fields).jobs
    return job.identity


def test_identity_ignores_how_the_settings_were_named():
    assert identity(methods=("knn",)) == identity(
        methods=("knn",), settings={"knn": {"standardise": True, "squared": False}}
    )


def test_identity_changes_with_every_fit_setting():
    assert identity(methods=("knn",)) != identity(methods=("knn",), settings={"knn": {"k": 5}})


def test_identity_ignores_runtime_settings():
    assert identity(methods=("mulde",)) == identity(
        methods=("mulde",), settings={"mulde": {"device": "cpu"}}
    )


def test_fit_identity_ignores_scoring_settings():
    (one,) = plan(methods=("mulde",)).jobs
    (other,) = plan(methods=("mulde",), settings={"mulde": {"scales": 8}}).jobs
    assert one.fit_identity == other.fit_identity
    assert one.identity != other.identity


def test_identity_changes_with_the_features():
    assert identity(settings={"velocity": {"flow": "medium"}}) != identity()
    assert identity(features=("velocity@grid",)) != identity()


def test_the_data_sets_own_boxes_need_no_name():
    assert (
        identity(features=("velocity@foreground",))
        == identity(features=("velocity",))
        == identity()
    )


def test_deterministic_methods_run_once_whatever_the_seeds():
    assert len(plan(methods=("knn", "mulde"), seeds=3).jobs) == 4


def test_a_fusion_is_one_recipe_of_several_jobs():
    planned = plan(methods=("mulde@velocity+velocity.hof8",))
    (one,) = planned.planned
    assert len(planned.jobs) == 2
    assert one.result.recipe == "mulde@velocity+velocity.hof8"
    assert {part.calibration for part in one.result.parts} == {"zscore-clip"}


def test_a_single_stream_is_not_calibrated():
    (one,) = plan(methods=("mulde",)).planned
    assert one.result.parts[0].calibration == "none"


def test_a_recipe_uses_the_streams_there_are_and_names_them():
    (one,) = plan(methods=("accivad",)).planned  # of pose there are no weights here
    assert one.result.recipe == "accivad@deep+velocity"
    (on_grid,) = plan(methods=("accivad@velocity@grid",)).planned
    assert on_grid.result.recipe == "accivad@velocity@grid"


def test_a_recipe_has_a_row_for_every_stream_of_an_extractor():
    planned = plan(methods=("accivad",), features=("velocity.hof1", "velocity.hof8"))
    assert [one.result.recipe for one in planned.planned] == [
        "accivad@velocity.hof1",
        "accivad@velocity.hof8",
    ]


def test_a_job_two_recipes_share_is_planned_once():
    planned = plan(methods=("gmm", "accivad@velocity"))
    assert len(planned.planned) == 2
    assert len(planned.jobs) == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"methods": ("gmmm",)}, "unknown method 'gmmm'.*did you mean gmm"),
        ({"features": ("velocty",)}, "velocty"),
        ({"features": ("velocity.hof7",)}, "hof7"),
        ({"features": ("velocity@gird",)}, "gird"),
        ({"features": ("../../etc",)}, "etc"),
        (
            {"settings": {"gmm": {"component": [2]}}},
            "unknown field 'component'.*did you mean components",
        ),
        ({"settings": {"knn": {"k": 2}}}, "unknown component in --set 'knn'"),
        ({"methods": ("knn",), "settings": {"knn": {"k": 0}}}, "knn: k"),
        ({"settings": {"velocity": {"flo": "fast"}}}, "flo"),
        ({"preset": "best"}, "preset"),
        ({"seeds": 0}, "seeds"),
        ({"methods": ()}, "methods"),
    ],
)
def test_bad_names_and_settings_are_told_in_one_line(fields, message):
    with pytest.raises(BadInput, match=message) as told:
        plan(**fields)
    assert "\n" not in str(told.value)


def test_settings_are_json_or_text():
    assert parse_settings(["mulde.beta=0.1", "velocity.flow=medium", "mulde.units=[8, 8]"]) == {
        "mulde": {"beta": 0.1, "units": [8, 8]},
        "velocity": {"flow": "medium"},
    }


@pytest.mark.parametrize("text", ["beta=1", "mulde.beta", "=1", "mulde.=1"])
def test_a_setting_of_another_form_is_refused(text):
    with pytest.raises(BadInput, match=r"component\.field=value"):
        parse_settings([text])


def test_every_suite_can_be_read():
    assert {"demo", "ped2-velocity"} <= set(suite_names(suites_root()))
    for name in suite_names(suites_root()):
        assert read_suite(name, suites_root()).title


def test_a_suite_of_ones_own_is_a_file_anywhere(tmp_path):
    path = tmp_path / "own--tables" / "mine.toml"
    path.parent.mkdir()
    path.write_text('methods = ["gmm"]\ndatasets = ["synthetic"]\n')
    suite = read_suite(str(path), suites_root())
    assert (suite.name, suite.called, suite.methods) == ("mine", str(path), ("gmm",))
    varied = vary(suite, datasets=("ped2",), seeds=2)
    assert (varied.name, varied.called) == (
        "mine--ped2--2seeds",
        f"{path} --datasets ped2 --seeds 2",
    )
    with pytest.raises(BadInput, match="no such suite file"):
        read_suite(str(tmp_path / "other.toml"), suites_root())


@pytest.mark.parametrize("name", ["demo", "latest"])
def test_a_file_whose_table_would_be_another_ones_is_refused(tmp_path, name):
    path = tmp_path / f"{name}.toml"
    path.write_text('methods = ["gmm"]\ndatasets = ["synthetic"]\n')
    with pytest.raises(
        BadInput, match=rf"{name}\.toml: its table tables/{name}\.md is that of .*rename"
    ):
        read_suite(str(path), suites_root())


def test_a_suite_that_comes_with_vadbench_can_be_named_by_its_file():
    path = suites_root() / "demo.toml"
    assert read_suite(str(path), suites_root()).methods == read_suite("demo", suites_root()).methods


def test_a_suite_file_named_without_its_ending_is_hinted_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('methods = ["gmm"]\ndatasets = ["synthetic"]\n')
    with pytest.raises(BadInput, match=r"unknown suite 'mine'.*mine\.toml"):
        read_suite("mine", suites_root())


def test_the_table_of_a_run_without_a_suite_is_none_and_says_what_prints_it():
    with pytest.raises(BadInput, match=r"'latest' is no suite.*--methods"):
        read_suite("latest", suites_root())


def test_a_suite_of_one_command_line_knows_its_options():
    fields = {
        "methods": ("knn", "gmm"),
        "datasets": ("synthetic",),
        "seeds": 2,
        "scope": "scene",
        "settings": {"knn": {"k": 5}, "gmm": {"components": [2]}},
    }
    told = make_suite(fields).options
    assert (
        told == "--methods knn,gmm --datasets synthetic --seeds 2 --scope scene --set knn.k=5 --set"
        " 'gmm.components=[2]'"
    )
    assert read_suite("demo", suites_root()).options == "--suite demo"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("methods = [", "not TOML"),
        ('methods = ["gmm"]\n', "datasets is missing"),
        ("", "datasets is missing; a suite needs datasets and methods or rows"),
        ('datasets = ["synthetic"]\n', "name methods, or give rows"),
        ('datasets = ["synthetic"]\nrows = [{ label = "a" }]\n', r"rows\.0\.method is missing"),
        ('datasets = ["synthetic"]\nmethods = ["gmm"]\ncolour = 1\n', "unknown field 'colour'"),
        ('name = "other"\n', "name is no field"),
        ('file = "other"\n', "file is no field"),
    ],
)
def test_a_broken_suite_names_its_file(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(BadInput, match=rf"mine\.toml.*{message}"):
        read_suite("mine", tmp_path)


def test_a_one_class_identity_is_of_these_fields_and_values():
    (job,) = plan(methods=("knn",)).jobs
    document = job.document
    assert document.pop("fingerprint") == job.stream.fingerprint
    assert document == {
        "schema_version": 1,
        "method": "knn",
        "config": {"standardise": True, "k": 1, "squared": False},
        "dataset": "synthetic",
        "train_dataset": "synthetic@1",
        "stream": "velocity",
        "scope": "pooled",
        "setting": "one-class",
        "seed": 0,
    }


@pytest.mark.usefixtures("rendered")
def test_an_unsupervised_identity_holds_the_split_and_its_videos():
    job = next(
        job
        for job in plan_suite(read_suite("unsupervised", suites_root())).jobs
        if job.method == "gmm"
    )
    (one_class,) = plan().jobs
    assert job.document["setting"] == "unsupervised"
    assert job.document["resplit"]["name"] == "every-second-test-video"
    shorter = replace(job, resplit=replace(job.resplit, test=job.resplit.test[1:]))
    assert len({job.identity, one_class.identity, shorter.identity}) == 3
    assert job.fit_identity != one_class.fit_identity


def rows_of(*rows, **fields):
    return plan(methods=(), rows=[{"method": "mulde", **row} for row in rows], **fields)


def test_a_rows_settings_lie_on_top_of_the_suites():
    planned = rows_of(
        {"label": "a"},
        {"label": "b", "settings": {"mulde": {"beta": 0.5}}},
        settings={"mulde": {"scales": 4, "beta": 1.0}},
    )
    assert [(job.config.scales, job.config.beta) for job in planned.jobs] == [(4, 1.0), (4, 0.5)]
    assert [one.wanted.label for one in planned.planned] == ["a", "b"]


def test_read_outs_of_one_run_are_rows_of_one_job_and_the_default_is_no_read_out_of_its_own():
    planned = rows_of(
        {"label": "a", "read_out": "max"}, {"label": "b", "read_out": "gmm5"}, {"label": "c"}
    )
    assert len(planned.jobs) == 1
    assert [one.result.read_out for one in planned.planned] == ["max", None, None]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"label": "a", "read_out": "maxx"},
            "unknown read-out in row 'a' 'maxx'.*did you mean max",
        ),
        ({"label": "a", "settings": {"knn": {"k": 2}}}, "row 'a' 'knn'"),
        ({"label": "a", "settings": {"mulde": {"betta": 2}}}, "did you mean beta"),
        ({"label": ""}, "label"),
    ],
)
def test_a_bad_row_is_told_in_one_line(row, message):
    with pytest.raises(BadInput, match=message) as told:
        rows_of(row)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "rows",
    [
        ({"label": "a"}, {"label": "a", "read_out": "max"}),
        ({"label": "a"}, {"label": "a", "method": "knn"}),
        ({"label": "knn", "method": "knn", "settings": {"knn": {"k": 5}}}, {"label": "b"}),
    ],
    ids=["read-outs", "methods", "a method's name"],
)
def test_rows_that_the_table_could_not_tell_apart_are_refused(rows):
    rows = [{"method": "mulde", **row} for row in rows]
    with pytest.raises(BadInput, match="is there twice on velocity"):
        plan(methods=("knn", "gmm"), rows=rows)


def test_rows_of_one_label_may_show_different_streams():
    planned = rows_of(
        {"label": "a", "method": "mulde@velocity"}, {"label": "a", "method": "knn@velocity.hof8"}
    )
    assert [one.result.recipe for one in planned.planned] == ["mulde@velocity", "knn@velocity.hof8"]


def test_a_method_named_twice_is_one_row():
    assert len(plan(methods=("gmm", "gmm@velocity")).planned) == 1


@pytest.mark.parametrize(
    "method", ["magnitude@velocity+velocity", "magnitude@velocity+velocity@foreground"]
)
def test_a_stream_is_not_fused_with_itself(method):
    with pytest.raises(BadInput, match="velocity is there twice"):
        plan(methods=(method,))


@pytest.mark.parametrize(
    "changes",
    [
        {"datasets": ("ped2",)},
        {"seeds": 3},
        {"datasets": ("ped2", "synthetic"), "features": ("velocity@grid",), "seeds": 2},
        {"setting": "unsupervised"},
        {"preset": "paper", "setting": "one-class"},
        {
            "datasets": ("ped2",),
            "features": ("velocity", "velocity@grid"),
            "seeds": 2,
            "preset": "paper",
            "setting": "unsupervised",
        },
    ],
)
def test_a_varied_suite_has_a_table_of_its_own(changes):
    suite = read_suite("mulde-l", suites_root())
    varied = vary(suite, **changes)
    assert varied.rows == suite.rows
    assert varied.name != suite.name
    assert {name: getattr(varied, name) for name in changes} == changes
    assert vary(suite) == suite


def test_a_varied_suite_says_the_options_that_make_it():
    varied = vary(
        read_suite("mulde-l", suites_root()), datasets=("ped2", "synthetic"), add=("gmm", "knn")
    )
    assert varied.name == "mulde-l--ped2+synthetic--with-gmm+knn"
    assert varied.options == "--suite mulde-l --datasets ped2,synthetic --add gmm,knn"


def test_a_method_is_added_to_a_suite():
    suite = read_suite("ped2-velocity", suites_root())
    more = vary(suite, add=("flow",))
    assert more.methods == (*suite.methods, "flow")
    assert more.name == "ped2-velocity--with-flow"
    assert vary(suite, add=("gmm",)).methods == suite.methods


@pytest.mark.usefixtures("rendered")
def test_another_setting_trains_anew_and_the_usual_one_does_not():
    suite = read_suite("diffusion-t", suites_root())
    unsupervised, one_class = plan_suite(suite), plan_suite(vary(suite, setting="one-class"))
    assert "resplit" in unsupervised.jobs[0].document
    assert one_class.jobs[0].document["setting"] == "one-class"


@pytest.mark.parametrize("setting", ["weak", "one class"])
def test_a_setting_that_is_none_is_refused(setting):
    with pytest.raises(BadInput, match=f"setting: .*got '{setting}'"):
        vary(read_suite("mulde-l", suites_root()), setting=setting)


def test_a_suite_of_one_camera_each_has_no_unsupervised_setting():
    suite = make_suite({"methods": ["gmm"], "datasets": ["ped2"], "scope": "scene"})
    with pytest.raises(BadInput, match="only one at a time"):
        vary(suite, setting="unsupervised")


def test_a_row_is_on_the_data_sets_that_it_names():
    rows = [
        {"label": "both", "method": "gmm"},
        {"label": "one", "method": "knn", "datasets": ["ped2"]},
    ]
    found = plan(
        methods=(), rows=rows, datasets=("synthetic", "ped2"), features=("velocity",)
    ).planned
    assert {(one.wanted.shown, one.result.dataset) for one in found} == {
        ("both", "synthetic"),
        ("both", "ped2"),
        ("one", "ped2"),
    }


def test_a_row_on_no_data_set_that_there_is_is_refused():
    with pytest.raises(BadInput, match="unknown data set 'ped3'"):
        plan(methods=(), rows=[{"label": "one", "method": "knn", "datasets": ["ped3"]}])


def test_a_suite_without_a_row_on_its_data_sets_is_refused():
    with pytest.raises(BadInput, match="none of its rows is on synthetic"):
        plan(
            methods=(),
            rows=[{"label": "one", "method": "knn", "datasets": ["ped2"]}],
            datasets=("synthetic",),
        )


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize(
    "name", [name for name in suite_names(suites_root()) if name != "unsupervised"]
)
def test_every_suite_can_be_planned(name):
    suite = read_suite(name, suites_root())
    # of one label where settings differ by data set
    listed = {(row.label, row.method) for row in suite.rows}
    named = [method for _, method in listed if "@" in method]
    choices = max(len(suite.features), 1) + len(suite.fusions)
    rows = (len(suite.methods) + len(listed) - len(named)) * choices + len(named)
    wanted = plan_suite(suite).wanted
    assert len({(one.shown, one.result.features) for one in wanted}) == rows


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("mulde-l", 1),
        ("mulde-scales", 1),
        ("mulde-pooling", 1),
        ("diffusion-t", 1),
        ("diffusion-noise", 12),
    ],
)
def test_a_sweep_over_scoring_has_one_fit(name, fits):
    assert (
        len({job.fit_identity for job in plan_suite(read_suite(name, suites_root())).jobs}) == fits
    )


def test_a_scope_and_another_training_data_set_are_part_of_the_identity_and_named_in_the_table():
    (usual,) = plan(methods=("gmm",)).planned
    (scene,) = plan(methods=("gmm",), scope="scene").planned
    (foreign,) = plan(methods=("gmm",), train_on="ped2").planned

    identities = {one.runs[0] for one in (usual, scene, foreign)}
    assert len(identities) == 3
    assert [one.wanted.shown for one in (usual, scene, foreign)] == [
        "gmm",
        "gmm (per scene)",
        "gmm (trained on ped2)",
    ]
    assert foreign.jobs[0].document["train_dataset"] == "ped2@v1p2"


@pytest.mark.parametrize(
    ("fields", "label", "shown"),
    [
        ({"scope": "scene"}, "mixture", "mixture (per scene)"),
        ({"scope": "scene"}, "mixture (per scene)", "mixture (per scene)"),
        ({"train_on": "ped2"}, "mixture", "mixture (trained on ped2)"),
        ({"train_on": "ped2"}, "mixture, trained on ped2", "mixture, trained on ped2"),
        ({}, "mixture", "mixture"),
    ],
)
def test_a_labelled_row_says_once_how_it_was_trained(fields, label, shown):
    (one,) = plan(methods=(), rows=[{"label": label, "method": "gmm"}], **fields).planned
    assert one.wanted.shown == shown


def test_training_on_itself_is_the_usual_job():
    assert plan(methods=("gmm",), train_on="synthetic").jobs == plan(methods=("gmm",)).jobs


@pytest.mark.parametrize(
    "fields",
    [{"scope": "scene", "train_on": "ped2"}, {"scope": "scene", "setting": "unsupervised"}],
)
def test_unusual_trainings_are_not_mixed(fields):
    with pytest.raises(BadInput, match="only one at a time"):
        plan(methods=("gmm",), **fields)
