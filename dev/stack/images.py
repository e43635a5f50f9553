"""The three images, built from the checkout."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster import Image
from dev.cluster.images import digest

if TYPE_CHECKING:
    from dev.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

PRODUCT = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "operator",
    "syncjob",
    "requirements/build.txt",
)
OPERATOR = Image(
    f"vendorsync/operator:{VERSION}",
    dockerfile=ROOT / "Dockerfile",
    context=ROOT,
    target="operator",
    paths=(*PRODUCT, "requirements/operator.txt"),
)
SYNCJOB = Image(
    f"vendorsync/syncjob:{VERSION}",
    dockerfile=ROOT / "Dockerfile",
    context=ROOT,
    target="syncjob",
    paths=(*PRODUCT, "requirements/syncjob.txt"),
)
DEMO = Image(
    f"vendorsync/demo:{VERSION}",
    dockerfile=ROOT / "dev" / "Dockerfile",
    context=ROOT,
    paths=("dev/simulators", "dev/database", "requirements/simulators.txt"),
)


def load(cluster: Cluster) -> None:
    """Build what changed and put it on the node."""
    cluster.build_and_load(OPERATOR, SYNCJOB, DEMO)


def build(image: Image) -> str:
    """Return a short digest of what went into the image; a pod that carries it is made anew."""
    return digest(image)
