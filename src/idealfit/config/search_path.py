"""Where configs are looked for: `conf/` and `sweeps/` in the working directory first, then the shipped ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.plugins.search_path_plugin import SearchPathPlugin

from idealfit.config.aliases import check_aliases
from idealfit.config.schema import Config
from idealfit.config.schema_groups import SCHEMAS

PACKAGE = Path(__file__).parents[1]
GROUPS = ("data", "model", "optimizer", "scheduler", "loss", "augment", "trainer", "task", "engine", "tracking")


def config_names(kind: Literal["train", "sweep"]) -> list[str]:
    """What can be started by name: files of `conf/` (train), or of `sweeps/` and the folders in it (sweep)."""
    name, pattern = {"train": ("conf", "*.yaml"), "sweep": ("sweeps", "**/*.yaml")}[kind]
    found = [(folder, path) for folder in folders() if folder.name == name for path in folder.glob(pattern)]
    return sorted({path.relative_to(folder).with_suffix("").as_posix() for folder, path in found})


def group_options(group: str) -> list[str]:
    """The options of a config group, e.g. `linear`, `mlp` ... of `model`."""
    return sorted({path.stem for folder in folders() for path in (folder / group).glob("*.yaml")})


def folders() -> list[Path]:
    """The folders that are searched, in order; the first file of a name wins."""
    shipped = PACKAGE if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1]  # in a wheel, or in a checkout
    found = [root / name for root in (Path.cwd(), shipped) for name in ("conf", "sweeps")]
    return list(dict.fromkeys(path.resolve() for path in found if path.is_dir()))


def find_file(config: str) -> Path | None:
    """The file of a config by its name inside the folders, e.g. `model/mlp`."""
    candidates = (folder / f"{config.removesuffix('.yaml')}.yaml" for folder in folders())
    return next((path for path in candidates if path.is_file()), None)


class _Folders(SearchPathPlugin):
    """Puts our folders on Hydra's search path while `hydra_search_path` is open; other Hydra programs go unchanged."""

    paths: tuple[str, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for path in self.paths:
            search_path.append(provider="idealfit", path=path)


@contextmanager
def hydra_search_path() -> Iterator[str]:
    """While open, Hydra searches our folders; gives the first of them, for Hydra's `config_path`.

    Raises:
        ConfigError: A file in them would fill the memory.
    """
    register_schemas()
    for folder in folders():
        for path in folder.rglob("*.yaml"):
            check_aliases(path)
    if _Folders not in Plugins.instance().discover(SearchPathPlugin):
        Plugins.instance().register(_Folders)
    first, *others = (f"file://{path}" for path in folders())
    before, _Folders.paths = _Folders.paths, tuple(others)
    try:
        yield first.removeprefix("file://")
    finally:
        _Folders.paths = before


def make_loader() -> ConfigLoaderImpl:
    """A config loader of our own: Hydra's process-wide state is neither needed nor changed."""
    setup_globals()  # Hydra's resolvers, e.g. ${now:...}
    with hydra_search_path() as first:
        return ConfigLoaderImpl(create_config_search_path(first))


def register_schemas() -> None:
    """Make the schemas known to Hydra, in the group `schema`, apart from the options that a user may choose."""
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config, package="_global_", provider="idealfit")
    for group, schemas in SCHEMAS.items():
        for name, schema in schemas.items():
            store.store(group=f"schema/{group}", name=name, node=schema, provider="idealfit")
