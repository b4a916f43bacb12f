"""Front-end files of others: named, licensed, checked, put in place at installation, and never in the repository."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "gateway" / "fairlead_gateway" / "static" / "vendor"
PACKAGES: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text())["packages"]

AGAIN = "install again (pip install --editable '.[dev]'), which puts it in place"


def sum_of(path: Path) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package["name"]))
def test_the_files_are_those_that_were_reviewed(package: dict[str, Any]) -> None:
    places = {VENDOR / package["name"] / Path(path).name: right for path, right in package["files"].items()}

    assert [place.name for place in places if not place.is_file()] == [], AGAIN
    assert {place.name: sum_of(place) for place in places} == {place.name: right for place, right in places.items()}
    assert {place.name for place in (VENDOR / package["name"]).iterdir()} == {place.name for place in places}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package["name"]))
def test_a_licence_comes_with_them(package: dict[str, Any]) -> None:
    assert package["licence"] in ("MIT", "Apache-2.0")
    assert "LICENSE" in package["files"]


def test_nothing_else_is_there() -> None:
    folders = {place.name for place in VENDOR.iterdir() if place.is_dir()}

    assert folders == {package["name"] for package in PACKAGES}


def test_the_repository_holds_their_names_alone() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", str(VENDOR)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert [Path(name).name for name in listed.stdout.split()] == ["manifest.json"]
