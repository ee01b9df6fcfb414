"""Files that can't be put together, in the user's words: which file, what is wrong with it, the nearest valid names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from hydra.errors import MissingConfigException

from idealfit.config.errors import line_of, nothing_chosen, plain, type_error
from idealfit.config.origin import shown
from idealfit.config.search_path import GROUPS, config_names, find_file, folders, group_options
from idealfit.spec import ConfigError, nearest

# What is wrong with a defaults list, by Hydra's words for it.
DEFAULTS_LIST = (
    (r"Overrides must be at the end", "in a defaults list, `override` lines come after the others"),
    (r"Multiple values for (?P<group>\S+)\.", "{group} is chosen twice: write `- override {group}: NAME`"),
    (r"defaults must be a list", "its defaults must be a list of lines `- GROUP: NAME`"),
    (
        r"Unsupported (type|item value) in defaults|Too many keys in default",
        "its defaults must be lines `- GROUP: NAME`",
    ),
    (r"must be a DictConfig", "it must hold lines KEY: VALUE"),
)


def composing_error(error: BaseException, *, config_name: str, overrides: Sequence[str]) -> ConfigError:
    """A config that could not be put together from its files."""
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark:
            return _yaml_error(cause)
    for cause in chain:
        if isinstance(cause, MissingConfigException):
            return _missing_file(cause, config_name, overrides)
        if isinstance(cause, UnicodeDecodeError | yaml.reader.ReaderError):
            return ConfigError(f"{_unreadable_file()} is no text in UTF-8. Save it as UTF-8.")
        if isinstance(cause, RecursionError):
            return ConfigError(f"{_file(config_name)}, or a file that it builds on, leads back to itself.")
    return _told_as_text(str(chain[0]) or str(chain[-1]) or type(chain[-1]).__name__, config_name)


def _told_as_text(text: str, config_name: str) -> ConfigError:
    """An error that Hydra has but one class for."""
    in_file = re.match(r"In '(?P<file>[^']+)': \w+ raised while composing config:\n(?P<text>.*)", text, re.DOTALL)
    if in_file:
        return _file_error(in_file["file"], in_file["text"])
    unused = re.match(r"(?:In '(?P<file>[^']+)': )?Could not (?:override|delete) '(?P<group>[^'=]+)", text)
    if unused:
        where = _file(unused["file"]) if unused["file"] else "override"
        return ConfigError(f"{where}: there is no {unused['group']!r} to choose. {nearest(unused['group'], GROUPS)}")
    unchosen = re.match(r"You must specify '(?P<group>[^']+)'", text)
    if unchosen:
        return nothing_chosen(unchosen["group"])
    for pattern, reason in DEFAULTS_LIST:
        found = re.search(pattern, text)
        if found:
            return ConfigError(f"{_file(config_name)}: {reason.format(**found.groupdict())}.")
    return ConfigError(f"{_file(config_name)}: can't be composed: {plain(text)}.")


def _file_error(config: str, text: str) -> ConfigError:
    """An error that Hydra only tells as text, with the key in a line of its own."""
    if "Cannot merge DictConfig with ListConfig" in text:
        return ConfigError(f"{_file(config)}: it is a list, and must be keys with their values, `_target_` among them.")
    error = ConfigError(text)
    key = line_of(error, "full_key")
    value = re.search(r"Value '(?P<value>.*?)' of type", text, re.DOTALL)
    found = type_error(error, key, value["value"] if value else "", where=_file(config))
    return found if key else ConfigError(f"{_file(config)}: {plain(text)}")


def _yaml_error(error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark
    assert mark is not None  # noqa: S101 - asked by the caller
    place = f"{shown(Path(mark.name))}, line {mark.line + 1}, column {mark.column + 1}"
    reason = error.problem or error.context or ""
    if "could not determine a constructor" in reason:
        reason = "tags like `!!python/...` are not read"
    return ConfigError(f"{place}: this is no YAML: {reason}.")


def _missing_file(error: MissingConfigException, config_name: str, overrides: Sequence[str]) -> ConfigError:
    missing = error.missing_cfg_file or ""
    group, _, option = missing.rpartition("/")
    if missing == config_name:
        names = [*config_names("train"), *config_names("sweep")]
        places = ", ".join(map(str, map(shown, folders())))
        return ConfigError(f"there is no config {missing!r} in {places}. {nearest(missing, names)}".strip())
    chosen = next((text for text in reversed(overrides) if text.partition("=")[2].strip("'\" ") == option), None)
    where = f"override {chosen!r}" if chosen else _naming_file(error, option)
    valid = error.options or group_options(group)
    return ConfigError(f"there is no {group or 'config'} {option!r} ({where}). {nearest(option, valid)}".strip())


def _naming_file(error: MissingConfigException, option: str) -> str:
    """The file whose defaults list names an option that does not exist."""
    stated = re.match(r"In '([^']+)'", str(error))
    for folder in folders():
        for path in sorted(folder.glob("*.yaml")):
            if re.search(rf"^\s*- .*\b{re.escape(option)}\b", path.read_text(encoding="utf-8", errors="replace"), re.M):
                return shown(path)
    return _file(stated[1]) if stated else "a defaults list"


def _unreadable_file() -> str:
    for folder in folders():
        for path in sorted(folder.rglob("*.yaml")):
            try:
                path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                return shown(path)
    return "a YAML file"


def _file(config: str) -> str:
    path = find_file(config)
    return shown(path) if path else config


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
