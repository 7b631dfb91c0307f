import pytest

from vadbench.benchmark import plan_suite
from vadbench.errors import BadInput
from vadbench.locations import suites_root
from vadbench.plan import make_suite, parse_settings, read_suite, suite_names


@pytest.fixture(autouse=True)
def _no_real_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))


def plan(**fields):
    return plan_suite(make_suite({"methods": ("gmm",), "datasets": ("synthetic",), **fields}))


def identity(**fields):
    (job,) = plan(**fields).jobs
    return job.identity


def test_identity_ignores_how_the_settings_were_named():
    assert identity(methods=("knn",)) == identity(methods=("knn",), settings={"knn": {"standardise": True, "squared": False}})


def test_identity_changes_with_every_fit_setting():
    assert identity(methods=("knn",)) != identity(methods=("knn",), settings={"knn": {"k": 5}})


def test_identity_ignores_runtime_settings():
    assert identity(methods=("mulde",)) == identity(methods=("mulde",), settings={"mulde": {"device": "cpu"}})


def test_fit_identity_ignores_scoring_settings():
    (one,) = plan(methods=("mulde",)).jobs
    (other,) = plan(methods=("mulde",), settings={"mulde": {"scales": 8}}).jobs
    assert one.fit_identity == other.fit_identity
    assert one.identity != other.identity


def test_identity_changes_with_the_features():
    assert identity(settings={"velocity": {"flow": "medium"}}) != identity()
    assert identity(features=("velocity@grid",)) != identity()


def test_the_data_sets_own_boxes_need_no_name():
    assert identity(features=("velocity@foreground",)) == identity(features=("velocity",)) == identity()


def test_deterministic_methods_run_once_whatever_the_seeds():
    assert len(plan(methods=("knn", "mulde"), seeds=3).jobs) == 4


def test_a_fusion_is_one_recipe_of_several_jobs():
    planned = plan(methods=("mulde@velocity+velocity.hof8",))
    (recipe,) = planned.recipes
    assert len(planned.jobs) == 2
    assert recipe.name == "mulde@velocity+velocity.hof8"
    assert {part.part.calibration for part in recipe.parts} == {"zscore-clip"}


def test_a_single_stream_is_not_calibrated():
    (recipe,) = plan(methods=("mulde",)).recipes
    assert recipe.parts[0].part.calibration == "none"


def test_a_recipe_uses_the_streams_there_are_and_names_them():
    (recipe,) = plan(methods=("accivad",)).recipes
    assert recipe.name == "accivad@velocity"
    (on_grid,) = plan(methods=("accivad@velocity@grid",)).recipes
    assert on_grid.name == "accivad@velocity@grid"


def test_a_recipe_has_a_row_for_every_stream_of_an_extractor():
    planned = plan(methods=("accivad",), features=("velocity.hof1", "velocity.hof8"))
    assert [recipe.name for recipe in planned.recipes] == ["accivad@velocity.hof1", "accivad@velocity.hof8"]


def test_a_job_two_recipes_share_is_planned_once():
    planned = plan(methods=("gmm", "accivad"))
    assert len(planned.recipes) == 2
    assert len(planned.jobs) == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"methods": ("gmmm",)}, "unknown method 'gmmm'.*did you mean gmm"),
        ({"features": ("velocty",)}, "velocty"),
        ({"features": ("velocity.hof7",)}, "hof7"),
        ({"features": ("velocity@gird",)}, "gird"),
        ({"features": ("../../etc",)}, "etc"),
        ({"settings": {"gmm": {"component": [2]}}}, "unknown field 'component'.*did you mean components"),
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


@pytest.mark.parametrize(("text", "message"), [("methods = [", "not TOML"), ('methods = ["gmm"]\n', "datasets"), ("colour = 1\n", "colour")])
def test_a_broken_suite_names_its_file(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(BadInput, match=rf"mine\.toml.*{message}"):
        read_suite("mine", tmp_path)
