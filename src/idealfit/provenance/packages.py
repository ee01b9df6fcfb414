"""Which distributions are installed, at which exact versions."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Mapping

from idealfit.spec import redacted


def installed() -> tuple[dict[str, str], dict[str, str]]:
    """Version of every distribution by normalised name, and the origin of those that came from no index."""
    versions: dict[str, str] = {}
    origins: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.name
        if not name or normalised(name) in versions:  # the first on the path is the one that is imported
            continue
        versions[normalised(name)] = distribution.version
        if origin := _origin(distribution.read_text("direct_url.json")):
            origins[normalised(name)] = origin
    return dict(sorted(versions.items())), dict(sorted(origins.items()))


def normalised(name: str) -> str:
    """The one spelling that package indexes use."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(packages: Mapping[str, str], origins: Mapping[str, str]) -> str:
    """The text of a requirements file that installs exactly `packages`; what no index has is a comment."""
    lines = []
    for name, version in packages.items():
        origin = origins.get(name)
        if origin is None:
            # Builds such as 2.9.0+cu128 lie on indexes of their own; the public part matches them too.
            lines.append(f"{name}=={version.partition('+')[0]}")
        elif "://" in origin:
            lines.append(f"{name} @ {origin}")
        else:
            lines.append(f"# {name}=={version}  ({origin}: install it from its source)")
    return "\n".join(lines) + "\n"


def _origin(direct_url: str | None) -> str | None:
    try:
        data = json.loads(direct_url or "")
        if vcs := data.get("vcs_info"):
            return f"{vcs['vcs']}+{redacted(data['url'])}@{vcs['commit_id']}"
        if data["url"].startswith("https://"):
            return redacted(data["url"])
        return "editable" if data.get("dir_info", {}).get("editable") else "local"
    except (ValueError, KeyError, AttributeError):
        return None
