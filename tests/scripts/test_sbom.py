"""The software bills of materials are valid, and name what is installed and the weights."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.processes.deploy_sdk import NEEDS_SDK

from monai_chexmask_u import __version__

pytestmark = [pytest.mark.deploy, NEEDS_SDK]

JUDGE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) is not None)
"""


@pytest.fixture(scope="module")
def python(repository: Path) -> Path:
    """The interpreter of the environment that bills are made in."""
    python = repository / ".venv-sbom" / "bin" / "python"
    if not python.is_file():
        pytest.skip("there is no .venv-sbom; `make .venv-sbom/.ready` makes it")
    return python


@pytest.fixture(scope="module")
def bills(repository: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bills")
    command = [str(python), "scripts/sbom.py", str(folder), "--python", sys.executable]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {name: (folder / f"sbom-{name}.cdx.json").read_text() for name in ("demo", "test")}


def test_a_bill_is_valid_by_the_schema_of_cyclonedx(bills: dict[str, Any], python: Path) -> None:
    """A few of its packages; the script has all of them judged in the same way, which takes long."""
    bill = json.loads(bills["demo"])
    few = json.dumps(bill | {"components": bill["components"][:3]})
    for text, fault in ((few, 0), (few.replace('"SHA-256"', '"SHA-255"'), 1)):
        assert subprocess.run([str(python), "-c", JUDGE], input=text, text=True, timeout=100).returncode == fault


@pytest.mark.parametrize("name", ["demo", "test"])
def test_a_bill_names_each_package_of_the_lock_with_its_checksum(
    bills: dict[str, Any], repository: Path, name: str
) -> None:
    components = {
        each["name"].lower().replace("_", "-").replace(".", "-"): each for each in json.loads(bills[name])["components"]
    }
    text = (repository / "locks" / f"{name}.txt").read_text()
    entries = re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    assert len(entries) > 50
    for package, version, hashes in entries:
        component = components[package.lower().replace("_", "-").replace(".", "-")]
        assert component["version"].partition("+")[0] == version
        digests = re.findall(r"[0-9a-f]{64}", hashes)
        if len(digests) == 1:
            assert component["hashes"] == [{"alg": "SHA-256", "content": digests[0]}]


@pytest.mark.parametrize("name", ["demo", "test"])
def test_a_bill_names_weights_and_calibration_with_their_checksums(
    bills: dict[str, Any], repository: Path, name: str
) -> None:
    components = {each["name"]: each for each in json.loads(bills[name])["components"]}
    models = sorted((repository / "bundle" / "models").glob("*.pt"))
    assert "model.pt" in {path.name for path in models}
    for path in models:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        component = components[f"bundle/models/{path.name}"]
        assert (component["type"], component["hashes"]) == (
            "machine-learning-model",
            [{"alg": "SHA-256", "content": digest}],
        )


@pytest.mark.parametrize("name", ["demo", "test"])
def test_a_bill_is_of_this_version(bills: dict[str, Any], name: str) -> None:
    root = json.loads(bills[name])["metadata"]["component"]
    assert (root["name"], root["version"]) == ("monai-chexmask-u", __version__)


@pytest.mark.parametrize("name", ["demo", "test"])
def test_a_bill_tells_nothing_of_this_machine(bills: dict[str, Any], repository: Path, name: str) -> None:
    assert "file:" not in bills[name]
    assert str(repository) not in bills[name]
    assert str(Path(sys.prefix)) not in bills[name]
