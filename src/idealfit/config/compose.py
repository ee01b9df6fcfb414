"""From a config's name and overrides to the resolved tree of a run, and fast from there to the config of each trial."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml
from hydra import version
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from idealfit.config.errors import missing_keys, nothing_chosen, resolving_error
from idealfit.config.file_errors import composing_error
from idealfit.config.origin import find_origin
from idealfit.config.overrides import apply, read_overrides, require_inside, set_value
from idealfit.config.schema import Config
from idealfit.config.search_path import make_loader
from idealfit.config.validate import validate
from idealfit.protocol import HOLDOUT
from idealfit.spec import JSON, ConfigError, Params
from idealfit.tasks import is_default

TRIAL_GROUPS = ("data", "model", "optimizer", "scheduler", "loss", "augment", "trainer")
TRIAL_KEYS = ("seed", *TRIAL_GROUPS, "protocol", "task")
# Hydra loads its sweeper with every config, also where nothing is swept: composing must not need our plugin.
WITHOUT_PLUGIN = "hydra/sweeper=basic"
# What Hydra, OmegaConf and PyYAML raise for a file that a user wrote.
FILE_ERRORS = (
    HydraException,
    OmegaConfBaseException,
    yaml.YAMLError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    AssertionError,
    RecursionError,
)


class Composer:
    """One config with fixed overrides. Composing changes no state of Hydra's, so it works inside `hydra.main` too.

    Attributes:
        cfg: The composed config, checked; interpolations are unresolved.
        choices: The option chosen of each group, e.g. `{"model": "mlp"}`.

    Raises:
        ConfigError: Anything wrong with the files or the overrides.
    """

    def __init__(self, config_name: str = "train", overrides: Sequence[str] = ()) -> None:
        require_inside(config_name, "a config")
        self.config_name = config_name
        self.overrides = tuple(overrides)
        self._loader = make_loader()
        self._read = read_overrides(self.overrides, self._loader)
        self._loaded: dict[tuple[str, ...], tuple[DictConfig, dict[str, str]]] = {}
        self.cfg, self.choices = self._load(())
        self._resolve(self.cfg, list(map(str, self.cfg)), (), {})

    def root(self) -> JSON:
        """The whole tree, resolved and plain."""
        return self._resolve(self.cfg, list(map(str, self.cfg)), (), {})

    def trial_config(self, params: Params | None = None) -> JSON:
        """The resolved config of one trial.

        Args:
            params: Searched values by dotted key; the key of a group (`model`) chooses another file.

        Raises:
            ConfigError: A key that is not there, or a value that is not allowed.
        """
        params = params or {}
        groups = tuple(f"{key}={_option(key, value)}" for key, value in sorted(params.items()) if key in TRIAL_GROUPS)
        cfg, _ = self._load(groups)
        values = {key: value for key, value in params.items() if key not in TRIAL_GROUPS}
        if values:
            cfg = copy.deepcopy(cfg)
        for key, value in values.items():
            try:
                set_value(cfg, key, value, where=_searched(key, value, groups))
            except ConfigError as error:
                if "whole number" not in str(error) or not isinstance(value, float):
                    raise
                raise ConfigError(f"{error} Search it with range(a,b) or int(interval(a,b)).") from error
        config = self._resolve(cfg, TRIAL_KEYS, groups, params)
        if config["protocol"]["name"] == HOLDOUT:  # one training run is what a config means by itself
            del config["protocol"]
        if is_default(config["task"]):
            del config["task"]
        return config

    def _load(self, groups: tuple[str, ...]) -> tuple[DictConfig, dict[str, str]]:
        """The config with the fixed overrides and these options of groups, and the option chosen of each group."""
        if groups not in self._loaded:
            self._loaded[groups] = self._load_files((*self._read.choices, *groups))
        return self._loaded[groups]

    def _load_files(self, choices: tuple[str, ...]) -> tuple[DictConfig, dict[str, str]]:
        try:
            with _hydra_behaviour("1.3"), warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*Defaults list is missing `_self_`")  # last is where it belongs
                cfg = self._loader.load_configuration(self.config_name, [WITHOUT_PLUGIN, *choices], RunMode.RUN)
        except FILE_ERRORS as error:
            raise composing_error(error, config_name=self.config_name, overrides=choices) from error
        with open_dict(cfg):
            hydra = cfg.pop("hydra")
        if OmegaConf.get_type(cfg) is not Config:
            raise ConfigError(f"config {self.config_name!r} has no frame: its defaults list must begin with `- train`.")
        for override in self._read.values:
            apply(override, cfg)
        if not OmegaConf.is_interpolation(cfg, "study") and cfg.study and OmegaConf.is_missing(cfg.study, "name"):
            cfg.study.name = self.config_name.replace("/", "_")
        chosen = OmegaConf.to_container(hydra.runtime.choices)
        assert isinstance(chosen, dict)  # noqa: S101
        # These two have keys before anything is chosen, those that all options share.
        for key in (*({"data", "model"} - chosen.keys()), *missing_keys(cfg)):
            raise nothing_chosen(key)
        return cfg, {str(group): str(option) for group, option in chosen.items() if "/" not in str(group)}

    def _resolve(self, cfg: DictConfig, keys: Sequence[str], groups: tuple[str, ...], params: Params) -> JSON:
        def origin(key: str) -> str:
            if key in params:
                return _searched(key, params[key], groups)
            choices = (*self._read.choices, *groups)
            with _hydra_behaviour("1.3"):
                return find_origin(key, self._loader, self.config_name, choices, self._read.values)

        try:
            resolved = {key: _plain(cfg[key]) for key in keys}
        except OmegaConfBaseException as error:
            raise resolving_error(error, origin) from error
        validate(cfg, resolved, origin)
        return resolved


def _plain(node: Any) -> Any:
    if not OmegaConf.is_config(node):
        return node
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def _option(group: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{group} is chosen by the name of one option, got {value!r}.")
    require_inside(value, group)
    return value


def _searched(key: str, value: Any, groups: tuple[str, ...]) -> str:
    return f"searched: {' '.join((f'{key}={value}', *groups))}"


@contextmanager
def _hydra_behaviour(base: str) -> Iterator[None]:
    """Compose by the rules of one Hydra version, whatever the program around us has chosen."""
    before = version.getbase()
    version.setbase(base)
    try:
        yield
    finally:
        version.VersionBase.instance().version_base = before
