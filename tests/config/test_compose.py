"""From names and overrides to resolved configs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import hydra
import pytest
from hydra import version
from hydra.core.global_hydra import GlobalHydra

from idealfit.config import Composer, config_names, group_options, hydra_search_path, search_path
from idealfit.config.compose import TRIAL_KEYS
from idealfit.spec import ConfigError

REPOSITORY = Path(__file__).parents[2]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def train() -> Composer:
    return Composer()


def test_defaults_are_complete_and_plain_json(train: Composer) -> None:
    root = train.root()
    assert json.loads(json.dumps(root)) == root
    assert root["data"]["_target_"] == "idealfit.data.Digits"
    assert root["study"] is None
    assert train.choices["model"] == "mlp"


def test_trial_config_holds_what_one_training_run_needs_and_no_more(train: Composer) -> None:
    assert set(train.trial_config()) == set(TRIAL_KEYS) - {"protocol", "task"}  # one run, of classes


def test_overrides_apply_in_order_to_groups_and_values() -> None:
    config = Composer("train", ["model.depth=7", "model=cnn", "model.width=3", "model.width=5"]).trial_config()
    assert config["model"]["_target_"] == "idealfit.models.CNN"
    assert (config["model"]["depth"], config["model"]["width"]) == (7, 5)


def test_interpolations_follow_searched_values(train: Composer) -> None:
    config = train.trial_config({"seed": 4, "scheduler": "cosine", "trainer.max_epochs": 12})
    assert config["data"]["split_seed"] == 4
    assert config["scheduler"]["T_max"] == 12


def test_a_searched_group_wins_over_a_fixed_one_and_keeps_fixed_values() -> None:
    composer = Composer("train", ["model=mlp", "model.dropout=0.25"])
    model = composer.trial_config({"model": "cnn", "model.depth": 4})["model"]
    assert model["_target_"] == "idealfit.models.CNN"
    assert (model["dropout"], model["depth"]) == (0.25, 4)


def test_trials_do_not_leak_into_each_other(train: Composer) -> None:
    before = train.trial_config()
    train.trial_config({"model.depth": 9, "optimizer.lr": 0.5})
    assert train.trial_config() == before


def test_types_are_those_of_the_schema(train: Composer) -> None:
    optimizer = train.trial_config({"optimizer.lr": 1})["optimizer"]
    assert isinstance(optimizer["lr"], float)


def test_null_is_a_value_where_the_schema_allows_it(train: Composer) -> None:
    assert train.trial_config({"data.limit": 100})["data"]["limit"] == 100
    assert train.trial_config({"data.limit": None})["data"]["limit"] is None


def test_a_library_argument_beyond_the_schema_is_added_with_a_plus() -> None:
    assert Composer("train", ["+optimizer.maximize=true"]).trial_config()["optimizer"]["maximize"] is True


def test_sampler_options_take_any_key() -> None:
    study = Composer("lr_dropout_depth", ["study.sampler_options.n_startup_trials=5"]).root()["study"]
    assert study["sampler_options"] == {"n_startup_trials": 5}


def test_a_space_entry_keeps_its_dotted_key() -> None:
    study = Composer("lr_dropout_depth", ["study.space.model.width='range(8,16)'"]).root()["study"]
    assert study["space"]["model.width"] == "range(8,16)"


def test_composing_leaves_hydra_as_it_was() -> None:
    before = version.getbase()
    assert not GlobalHydra.instance().is_initialized()
    Composer()
    assert not GlobalHydra.instance().is_initialized()
    assert version.getbase() == before


def test_composing_works_inside_hydra_main_which_writes_nothing(
    in_tmp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr("sys.argv", ["app", "model=cnn"])
    with hydra_search_path() as config_path:

        @hydra.main(config_path=config_path, config_name="train", version_base="1.3")
        def app(config: object) -> None:
            seen.append(Composer("lr_dropout_depth", ["model=lenet"]).choices["model"])
            seen.append(Composer().choices["model"])

        app()
    GlobalHydra.instance().clear()
    assert seen == ["lenet", "mlp"]
    assert not list(in_tmp_dir.iterdir())


def test_a_users_own_files_come_first(in_tmp_dir: Path) -> None:
    write(in_tmp_dir / "conf/model/tiny.yaml", "_target_: mynet.Tiny\nhidden: 3\n")
    write(in_tmp_dir / "conf/engine/local.yaml", "_target_: idealfit.engines.LocalEngine\nslots: 7\n")
    write(in_tmp_dir / "sweeps/mine.yaml", "defaults:\n  - train\n  - override model: tiny\nstudy:\n  question: Why?\n")
    assert "tiny" in group_options("model")
    assert "mlp" in group_options("model")
    assert {"mine", "optimizers"} <= set(config_names("sweep"))
    composer = Composer("mine", ["model.hidden=5"])
    root = composer.root()
    every_model = {"weights": None, "new_head": False, "freeze": "none", "thaw_epoch": None, "body_lr_factor": 1.0}
    every_model["zca_epsilon"] = None
    assert root["model"] == {**every_model, "_target_": "mynet.Tiny", "hidden": 5}
    assert root["engine"]["slots"] == 7
    assert composer.trial_config({"model.hidden": 6})["model"]["hidden"] == 6


def test_a_study_is_called_like_its_file_unless_it_says_otherwise(in_tmp_dir: Path) -> None:
    write(in_tmp_dir / "sweeps/mine.yaml", "defaults: [train, _self_]\nstudy: {question: 'Why?'}\n")
    assert Composer("mine").root()["study"]["name"] == "mine"
    assert Composer("mine", ["study.name=other"]).root()["study"]["name"] == "other"
    text = "# @package _global_\ndefaults: [/train, _self_]\nstudy: {question: 'Why?'}\n"
    write(in_tmp_dir / "sweeps/deeper/mine.yaml", text)
    assert "deeper/mine" in config_names("sweep")
    assert Composer("deeper/mine").root()["study"]["name"] == "deeper_mine"


def test_a_data_set_of_ones_own_has_the_common_keys(in_tmp_dir: Path) -> None:
    write(in_tmp_dir / "conf/data/mine.yaml", "_target_: mydata.Mine\nfolder: pictures\n")
    data = Composer("train", ["data=mine", "data.batch_size=16"]).trial_config()["data"]
    assert data["folder"] == "pictures"
    assert (data["batch_size"], data["val_fraction"], data["limit"]) == (16, 0.2, None)


def test_odd_folder_names_are_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "größe 'n \"=,${x}"
    write(folder / "conf/model/tiny.yaml", "_target_: mynet.Tiny\n")
    monkeypatch.chdir(folder)
    assert Composer("train", ["model=tiny"]).root()["model"]["_target_"] == "mynet.Tiny"


def test_environment_variables_place_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDEALFIT_DATA", "/somewhere")
    assert Composer("train", ["data=mnist"]).root()["data"]["root"] == "/somewhere/mnist"
    monkeypatch.delenv("IDEALFIT_DATA")
    assert Composer("train", ["data=mnist"]).root()["data"]["root"] == "data/mnist"


def test_listings_hold_real_options_only() -> None:
    assert config_names("train") == ["train"]
    options = group_options("model")
    assert options == sorted(options)
    assert {"linear", "mlp", "cnn"} <= set(options)
    assert all((REPOSITORY / "conf/model" / f"{option}.yaml").is_file() for option in options)


def test_a_group_is_searched_by_the_names_of_its_options(train: Composer) -> None:
    with pytest.raises(ConfigError, match=r"model is chosen by the name of one option, got 3"):
        train.trial_config({"model": 3})


def test_an_installed_package_brings_its_configs(in_tmp_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = in_tmp_dir / "site-packages" / "idealfit"
    for name in ("conf", "sweeps"):
        shutil.copytree(REPOSITORY / name, installed / name)
    monkeypatch.setattr(search_path, "PACKAGE", installed)
    assert search_path.folders() == [installed / "conf", installed / "sweeps"]
    assert Composer("lr_dropout_depth").choices["model"] == "mlp"
