"""Bad input: one message that says what, what was got, where, and what would be right; no words of Hydra's."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idealfit.config import Composer
from idealfit.spec import ConfigError, UserError

JARGON = ("omegaconf", "hydra", "full_key", "object_type", "struct", "dictconfig", "listconfig", "traceback", "append")

BAD_OVERRIDES = {
    "model.dropuot=0.3": r"no key 'model.dropuot' \(override 'model.dropuot=0.3'\). Did you mean 'model.dropout'\?",
    "dropout=0.3": r"no key 'dropout'.*Did you mean 'model.dropout'\?",
    "optimizer.learning_rate=1": r"no key 'optimizer.learning_rate'.*optimizer has: lr, weight_decay",
    "modle=mlp": r"no key 'modle'.*Did you mean 'model'\?",
    "model=mpl": r"no model 'mpl' \(override 'model=mpl'\). Did you mean 'mlp'\?",
    "model=": r"no model ''.*Valid: .*cnn, .*linear, mlp, resnet",
    "model=3": r"model is chosen by the name of one option.*cnn",
    "scheduler=null": r"scheduler is chosen by the name of one option.*write none",
    "model=[mlp,cnn]": r"model is chosen by the name of one option",
    "+augment=light": r"augment is chosen already.*Write augment=light",
    "model.depth=abc": r"model.depth must be a whole number, got 'abc' \(override 'model.depth=abc'\)",
    "model.depth=3.5": r"model.depth must be a whole number, got 3.5",
    "model.depth=null": r"model.depth needs a value, got null",
    "model.depth=[1,2]": r"model.depth must be a whole number, got \[1, 2\]",
    "model.batch_norm=maybe": r"model.batch_norm must be true or false, got 'maybe'",
    "model={depth: abc}": r"model.depth must be a whole number, got abc",
    "model={dept: 3}": r"no key 'model.dept'.*Did you mean 'model.depth'\?",
    "model.depth.more=3": r"model.depth is a single value",
    "optimizer.betas.7=0.9": r"optimizer.betas is a list of 2",
    "augment.flip_p=0.5": r"augment is none here.*Choose one first, e.g. augment=color",
    "study.name=x": r"study is none here.*idealfit sweep NAME",
    "trusted_packages=mynet": r"trusted_packages must be a list.*Write trusted_packages=\[mynet\]",
    "model.depth=1,2": r"several values. Only a study searches: idealfit sweep NAME 'model.depth=1,2'",
    "optimizer.lr=interval(0,1)": r"several values. Only a study searches",
    "model.depth=[1,": r"can't read the override 'model.depth=\[1,'",
    "mnist": r"can't read the override 'mnist'. Write KEY=VALUE, e.g. data=mnist",
    "--model.depth=3": r"Write it without dashes: model.depth=3",
    "=3": r"names no key",
    "a b=3": r"'a b' is no key",
    "~model": r"nothing is chosen for model. Add model=NAME, one of: .*cnn",
    "~model.depth": r"model.depth can't be removed",
    "data=image_folder": r"data.root has no value. Add data.root=VALUE",
    "data.batch_size=0": r"data.batch_size must be at least 1, got 0 \(override 'data.batch_size=0'\)",
    "data.limit=0": r"data.limit must be at least 1, got 0",
    "data.val_fraction=1": r"data.val_fraction must be above 0 and below 1, got 1.0",
    "data.val_fraction=0.85": r"data.val_fraction and data.test_fraction must leave images to train on",
    "model.dropout=1": r"model.dropout must be at least 0 and below 1, got 1.0",
    "optimizer.lr=nan": r"optimizer.lr must be finite, got nan",
    "optimizer.betas=[0.9,2]": r"optimizer.betas must be at least 0 and below 1, got \[0.9, 2.0\]",
    "trainer.max_epochs=0": r"trainer.max_epochs must be at least 1, got 0",
    "trainer.min_epochs=31": r"trainer.min_epochs must be at most trainer.max_epochs, got 31 and 30",
    "trainer.precision=half": r"trainer.precision must be one of auto, 32-true",
    "trainer.early_stopping.patience=-1": r"trainer.early_stopping.patience must be at least 0",
    "trainer.early_stopping.monitor=test/loss": r"the test set is locked",
    "engine.slots=-1": r"engine.slots must be at least 0",
    "seed=-1": r"seed must be at least 0 and at most 4294967295, got -1",
    "seed=${model.dpth}": r"seed refers to \${model.dpth} \(override",
    "runs_dir=${oc.env:IDEALFIT_NOT_SET}": r"environment variable IDEALFIT_NOT_SET.*not set",
}

BAD_STUDY = {
    "study.objective.metric=test/accuracy": r"study.objective.metric can't be 'test/accuracy': the test set is locked",
    "study.objective.direction=up": r"must be one of maximize, minimize, got 'up'",
    "study.objective.epoch=first": r"must be one of best, last, mean_of_last_k",
    "study.objective.k=0": r"study.objective.k must be at least 1",
    "study.budget.trials=-1": r"study.budget.trials must be at least 0",
    "study.budget.trails=3": r"Did you mean 'study.budget.trials'\?",
    "study.budget.hours=0": r"study.budget.hours must be above 0",
    "study.sampler=tpee": r"must be one of tpe, random",
    "study.pruner=asher": r"must be one of hyperband, asha",
    "study.name=null": r"study.name needs a value",
}

STUDY = "defaults:\n  - train\n  - _self_\n"
MODEL = "defaults:\n  - /schema/model@_here_: mlp\n  - _self_\n_target_: mynet.Net\n"

# The file, its content, the overrides that choose it, what the message says. The config's name is s.
BAD_FILES = {
    "misspelt key": (
        "conf/model/my.yaml",
        MODEL + "dropuot: 3",
        r"'model.dropuot' \(conf/model/my.yaml\).*'model.dropout'",
    ),
    "wrong type": ("conf/model/my.yaml", MODEL + "depth: abc", r"a whole number, got 'abc' \(conf/model/my.yaml\)"),
    "null": (
        "conf/model/my.yaml",
        MODEL + "depth: null",
        r"model.depth needs a value, got null \(conf/model/my.yaml\)",
    ),
    "no value": ("conf/model/my.yaml", MODEL, r"model.depth has no value"),
    "broken": ("conf/model/my.yaml", "_target_: [a\nb: 3", r"conf/model/my.yaml, line 2, column 2: this is no YAML"),
    "tab": ("conf/model/my.yaml", "_target_: a\n\tb: 3", r"conf/model/my.yaml, line 2.*'\\t'"),
    "twice": ("conf/model/my.yaml", "_target_: a\n_target_: b", r"conf/model/my.yaml, line 2.*duplicate key _target_"),
    "code": ("conf/model/my.yaml", "a: !!python/object/apply:os.getcwd []", r"conf/model/my.yaml, line 1"),
    "a list": (
        "conf/model/my.yaml",
        "- a",
        r"conf/model/my.yaml: it is a list, and must be keys with their values, `_target_` among them",
    ),
    "empty": ("conf/model/my.yaml", "", r"model must name a class by `_target_`"),
    "number as key": ("conf/model/my.yaml", "_target_: a.B\n3: 4", r"model.3 must be text"),
    "lost reference": (
        "conf/model/my.yaml",
        "_target_: a.B\nx: ${no.way}",
        r"model.x refers to \${no.way} \(conf/model",
    ),
    "circle of values": ("conf/model/my.yaml", "_target_: a.B\nx: ${model.x}", r"model.x can't be resolved"),
    "unknown resolver": ("conf/model/my.yaml", "_target_: a.B\nx: ${no:3}", r"model.x can't be resolved"),
    "bounds": ("sweeps/s.yaml", STUDY + "data: {batch_size: 0}", r"at least 1, got 0 \(sweeps/s.yaml\)"),
    "misspelt study key": (
        "sweeps/s.yaml",
        STUDY + "study: {spaces: {}}",
        r"\(sweeps/s.yaml\). Did you mean 'study.space'",
    ),
    "misspelt node": ("sweeps/s.yaml", STUDY + "modle: {depth: 3}", r"'modle' \(sweeps/s.yaml\). Did you mean 'model'"),
    "unknown group": (
        "sweeps/s.yaml",
        "defaults: [train, {override modle: mlp}, _self_]",
        r"no 'modle' to choose.*'model'",
    ),
    "unknown option": (
        "sweeps/s.yaml",
        "defaults:\n  - train\n  - override model: mpl",
        r"no model 'mpl' \(sweeps/s.yaml\)",
    ),
    "unknown base": (
        "sweeps/s.yaml",
        "defaults:\n  - trian",
        r"no config 'trian' \(sweeps/s.yaml\). Did you mean 'train'",
    ),
    "no base": ("sweeps/s.yaml", "study: {question: x}", r"its defaults list must begin with `- train`"),
    "chosen twice": (
        "sweeps/s.yaml",
        "defaults: [train, {model: cnn}, _self_]",
        r"sweeps/s.yaml: model is chosen twice",
    ),
    "wrong order": (
        "sweeps/s.yaml",
        "defaults: [{override model: cnn}, train]",
        r"`override` lines come after the others",
    ),
    "itself": ("sweeps/s.yaml", "defaults: [s, _self_]", r"sweeps/s.yaml.*leads back to itself"),
    "no list": ("sweeps/s.yaml", "defaults: {a: b}", r"sweeps/s.yaml: its defaults must be a list"),
    "study is a number": ("sweeps/s.yaml", STUDY + "study: 3", r"study"),
}


def message(name: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Composer(name, overrides)
    text = str(caught.value)
    assert not [word for word in JARGON if word in text.lower()], text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_bad_override(override: str) -> None:
    assert re.search(BAD_OVERRIDES[override], message("train", override))


@pytest.mark.parametrize("override", BAD_STUDY)
def test_bad_study(override: str) -> None:
    assert re.search(BAD_STUDY[override], message("lr_dropout_depth", override))


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file(case: str, in_tmp_dir: Path) -> None:
    name, text, pattern = BAD_FILES[case]
    for path, content in {"sweeps/s.yaml": "defaults:\n  - train\n  - override model: my\n", name: text + "\n"}.items():
        (in_tmp_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (in_tmp_dir / path).write_text(content)
    assert re.search(pattern, message("s"))


def test_a_file_that_is_no_text_is_named(in_tmp_dir: Path) -> None:
    (in_tmp_dir / "conf").mkdir()
    (in_tmp_dir / "conf" / "mine.yaml").write_bytes(b"seed: \xff\xfe")
    assert message("mine") == "conf/mine.yaml is no text in UTF-8. Save it as UTF-8."


def test_unknown_config_names_the_nearest() -> None:
    assert "Did you mean 'lr_dropout_depth'" in message("lr_dropout_dept")


def test_searched_values_are_checked_like_fixed_ones() -> None:
    composer = Composer()
    bad = {
        "no key 'model.dropuot' (searched: model.dropuot=0.1). Did you mean 'model.dropout'?": {"model.dropuot": 0.1},
        "Search it with range(a,b) or int(interval(a,b)).": {"model.depth": 2.5},
        "no key 'model.depth' (searched: model.depth=3 model=linear)": {"model": "linear", "model.depth": 3},
        "model.depth must be at least 1, got 0 (searched: model.depth=0)": {"model.depth": 0},
        "scheduler is none here": {"scheduler.gamma": 0.1},
        "no model 'cn'": {"model": "cn"},
        "data.root has no value": {"data": "image_folder"},
    }
    for expected, params in bad.items():
        with pytest.raises(ConfigError) as caught:
            composer.trial_config(params)  # type: ignore[arg-type]
        assert expected in str(caught.value)


def test_a_fixed_key_that_a_searched_group_lacks_is_named_with_its_override() -> None:
    composer = Composer("train", ["model.width=32"])
    with pytest.raises(ConfigError, match=r"no key 'model.width' \(override 'model.width=32'\). model has: .*dropout"):
        composer.trial_config({"model": "linear"})


KEYS = st.sampled_from(
    ["model.depth", "model", "optimizer.lr", "data.limit", "study.space", "seed", "trainer", "x.y", ""]
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(TEXT, st.builds("{}={}".format, KEYS, TEXT), st.builds("{}={}".format, TEXT, st.integers())))
def test_any_override_ends_in_a_config_or_a_user_error(override: str) -> None:
    with suppress(UserError):
        Composer("lr_dropout_depth", [override]).trial_config()
