"""What may import what, and what each module offers."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import monai_chexmask_u

PACKAGE = Path(monai_chexmask_u.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "bundle" not in path.relative_to(PACKAGE).parts)
NAMES = [path.relative_to(PACKAGE.parent).as_posix() for path in MODULES]
DOORS = ("app", "label", "bundle", "monai.deploy", "monailabel", "holoscan")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Yield the full names that a module imports, wherever in it; imports are absolute in this project."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offered(path: Path) -> list[str] | None:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def ruff_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each by the alphabet (ruff's RUF022)."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_module_with_code_says_in_order_what_it_offers(path: Path) -> None:
    names = offered(path)
    has_code = any(not isinstance(node, ast.Expr | ast.ImportFrom) for node in tree(path).body)
    if path.name == "__main__.py" or not has_code:
        assert names is None
        return
    assert names is not None, "no __all__"
    assert names == sorted(set(names), key=ruff_order)
    module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    for name in names:
        assert hasattr(module, name)


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_the_library_imports_no_door(path: Path) -> None:
    assert [name for name in imports(path) if is_within(name, DOORS)] == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_dicom_packages_are_imported_by_their_folders_alone(path: Path) -> None:
    if PACKAGE / "dicom" in path.parents or PACKAGE / "archive" in path.parents:
        # It takes arrays and results, no networks.
        assert [name for name in imports(path) if is_within(name, ("torch", "monai"))] == []
    else:
        assert [name for name in imports(path) if is_within(name, ("highdicom", "pydicom"))] == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_packages_of_the_archive_are_imported_by_its_folder_alone(path: Path) -> None:
    if PACKAGE / "archive" not in path.parents:
        packages = ("pynetdicom", "requests")
        assert [name for name in imports(path) if is_within(name, packages)] == []


def test_the_checks_see_imports_inside_functions() -> None:
    assert "monai_chexmask_u.dicom.reading.read.read_dicom" in list(imports(PACKAGE / "reading" / "files.py"))
    assert is_within("monai.deploy.core.Operator", DOORS)
    assert not is_within("monai.data.MetaTensor", DOORS)


def test_version_is_one_of_python_packages() -> None:
    assert monai_chexmask_u.__all__ == ["__version__"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?\w+)?", monai_chexmask_u.__version__)


def test_help_comes_without_the_slow_packages() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "monai_chexmask_u", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "segment" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"typer", "monai_chexmask_u.cli"} <= imported
    slow = ("torch", "monai", "numpy", "pydicom", "highdicom", "torch_geometric", "PIL", "pynetdicom", "requests")
    assert [name for name in imported if is_within(name, slow)] == []
