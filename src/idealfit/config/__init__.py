"""Composing a run from YAML: schema, composition, and the one gate through which configs become objects."""

from idealfit.config.compose import Composer as Composer
from idealfit.config.search_path import config_names as config_names
from idealfit.config.search_path import group_options as group_options
from idealfit.config.search_path import hydra_search_path as hydra_search_path
