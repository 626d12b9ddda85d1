"""Write the software bills of materials (CycloneDX, JSON) of what `make demo` and `make test` install.

`make sbom` writes ``sbom-demo.cdx.json`` and ``sbom-test.cdx.json`` to ``dist/``. The packages are those of the
environment that it is told of, as far as the lock file of the command lists them, with its checksums; the models that
ship with the project stand beside them with theirs. It runs in an environment of its own, where nothing of this project
is: with the validators of CycloneDX beside it, each import of MONAI takes a second more.

References:
    CycloneDX 1.6 (ECMA-424), https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

REPOSITORY: Final = Path(__file__).resolve().parents[1]
MODELS: Final = REPOSITORY / "bundle" / "models"
COMMANDS: Final = ("demo", "test")
SPECIFICATION: Final = "1.6"
# References that tell where this machine's packages came from.
PLACES: Final = ("distribution", "distribution-intake")


def main(arguments: list[str] | None = None) -> int:
    """Write the files; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the software bills of materials of the two commands.")
    parser.add_argument("folder", type=Path, help="where they are written; made if it is not there")
    parser.add_argument("--python", required=True, help="interpreter of the environment that is looked into")
    chosen = parser.parse_args(arguments)
    folder: Path = chosen.folder
    everything = installed(chosen.python)
    folder.mkdir(parents=True, exist_ok=True)
    for command in COMMANDS:
        locks = [locked(REPOSITORY / "locks" / f"{name}.txt") for name in (command, "torch")]
        bill = bill_of(everything, locks[0] | locks[1])
        text = json.dumps(bill, indent=2, sort_keys=True) + "\n"
        fault = JsonStrictValidator(SchemaVersion.from_version(SPECIFICATION)).validate_str(text)
        if fault is not None:
            print(f"error: the bill of materials of make {command} is not valid: {fault}", file=sys.stderr)
            return 1
        path = folder / f"sbom-{command}.cdx.json"
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {len(bill['components'])} components")
    return 0


def installed(python: str) -> dict[str, Any]:
    """Return the bill of everything that is installed in an environment; what is written of it is validated later."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--sv", SPECIFICATION]
    command += ["--mc-type", "library", "--pyproject", str(REPOSITORY / "pyproject.toml"), "--of", "JSON"]
    done = subprocess.run([*command, "--no-validate", python], stdout=subprocess.PIPE, text=True, check=True)
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def locked(lock: Path) -> dict[str, list[str]]:
    """Return the SHA-256 of each package's files by its name, as a lock file has them."""
    found: dict[str, list[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if name := re.match(r"([A-Za-z0-9._-]+)==", line):
            hashes = found[plain(name[1])] = []
        elif digest := re.search(r"sha256:([0-9a-f]{64})", line):
            hashes.append(digest[1])
    return found


def plain(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bill_of(everything: Mapping[str, Any], lock: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the bill of the packages of a lock file, and of the models."""
    packages = [package(each, lock) for each in everything["components"] if plain(each["name"]) in lock]
    models = [model(path) for path in sorted(MODELS.glob("*.pt"))]
    root = package(everything["metadata"]["component"], {}) | {"version": own_version()}
    kept = {root["bom-ref"], *(each["bom-ref"] for each in packages)}
    return {
        **{name: everything[name] for name in ("$schema", "bomFormat", "specVersion", "version")},
        "metadata": {**everything["metadata"], "component": root},
        "components": packages + models,
        "dependencies": [
            *(among(each, kept) for each in everything["dependencies"] if each["ref"] in kept),
            *({"ref": each["bom-ref"]} for each in models),
        ],
    }


def own_version() -> str:
    """Read this project's version, which is not installed beside this."""
    text = (REPOSITORY / "monai_chexmask_u" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found, "the package names its version"
    return found[1]


def package(component: Mapping[str, Any], lock: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return a package with its checksum, and without the place that it came from."""
    references = [each for each in component.get("externalReferences", []) if each["type"] not in PLACES]
    kept = {
        name: value for name, value in component.items() if name not in ("externalReferences", "purl", "properties")
    }
    # Of PyTorch the lock has a file for CPUs and one for GPUs, and nobody knows which is installed.
    hashes = lock.get(plain(component["name"]), [])
    if len(hashes) == 1:
        kept["hashes"] = [{"alg": "SHA-256", "content": hashes[0]}]
    if "purl" in component:
        kept["purl"] = component["purl"].partition("?")[0]
    return kept | ({"externalReferences": references} if references else {})


def among(dependency: Mapping[str, Any], kept: Collection[str]) -> dict[str, Any]:
    """Return what a package depends on, as far as that is in the bill."""
    needed = [each for each in dependency.get("dependsOn", []) if each in kept]
    return {"ref": dependency["ref"], **({"dependsOn": needed} if needed else {})}


def model(path: Path) -> dict[str, Any]:
    """Return a weights file or a calibration as a component, with its checksum."""
    metadata = json.loads((MODELS.parent / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return {
        "type": "machine-learning-model",
        "bom-ref": f"bundle/models/{path.name}",
        "name": f"bundle/models/{path.name}",
        "version": str(metadata["version"]),
        "description": f"{metadata['name']}, of the MONAI Bundle",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


if __name__ == "__main__":
    sys.exit(main())
