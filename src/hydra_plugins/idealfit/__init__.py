"""Hydra finds the sweeper here. There is no `__init__.py` above: `hydra_plugins` is a namespace package."""
