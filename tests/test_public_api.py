"""What may import what, and what each module offers."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import monai_chexmask_u

PACKAGE = Path(monai_chexmask_u.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "bundle" not in path.relative_to(PACKAGE).parts)
NAMES = [path.relative_to(PACKAGE.parent).as_posix() for path in MODULES]
PUBLIC = {
    "HybridGNet",
    "LandmarkSegmentation",
    "LandmarkUncertaintyInferer",
    "NODE_IDS",
    "ORGANS",
    "Radiograph",
    "RadiographError",
    "Segmenter",
    "__version__",
    "load_model",
    "read_radiograph",
    "segment",
    "segment_folder",
    "write_outputs",
}
Names = tuple[str, ...]
DOORS = ("app", "label", "bundle", "monai.deploy", "monailabel", "holoscan")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> list[str]:
    """Return the full names that a module imports, wherever in it; imports are absolute in this project."""
    found: list[str] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


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


def faults_of(path: Path) -> Iterator[str]:
    """Yield what is wrong with the list of what a module offers."""
    names = offered(path)
    has_code = any(not isinstance(node, ast.Expr | ast.ImportFrom) for node in tree(path).body)
    if path.name == "__main__.py" or not has_code:
        if names is not None:
            yield "a list without need"
        return
    if names is None:
        yield "no __all__"
        return
    if names != sorted(set(names), key=ruff_order):
        yield "__all__ is not in order"
    place = path.parent if path.name == "__init__.py" else path.with_suffix("")
    module = importlib.import_module(".".join(place.relative_to(PACKAGE.parent).parts))
    yield from (f"{name} is not there" for name in names if not hasattr(module, name))


def test_every_module_with_code_says_in_order_what_it_offers() -> None:
    assert [f"{name}: {fault}" for name, path in zip(NAMES, MODULES, strict=True) for fault in faults_of(path)] == []


def found_imports(
    packages: tuple[str, ...], *, inside: tuple[str, ...] = (), outside: tuple[str, ...] = ()
) -> list[str]:
    """Return imports of packages by modules, only in some folders of the library or in all but some."""
    found = []
    for name, path in zip(NAMES, MODULES, strict=True):
        folder = path.relative_to(PACKAGE).parts[0]
        if (not inside or folder in inside) and folder not in outside:
            found += [f"{name}: {imported}" for imported in imports(path) if is_within(imported, packages)]
    return found


def test_the_library_imports_no_door() -> None:
    assert found_imports(DOORS) == []


def test_dicom_packages_are_imported_by_their_folders_alone() -> None:
    assert found_imports(("highdicom", "pydicom"), outside=("dicom", "archive")) == []


def test_dicom_and_archive_take_arrays_and_results_and_no_networks() -> None:
    assert found_imports(("torch", "monai"), inside=("dicom", "archive")) == []


def test_packages_of_the_archive_are_imported_by_its_folder_alone() -> None:
    assert found_imports(("pynetdicom", "requests"), outside=("archive",)) == []


def test_the_checks_see_imports_inside_functions() -> None:
    assert "monai_chexmask_u.dicom.reading.read.read_dicom" in imports(PACKAGE / "reading" / "inputs.py")
    assert found_imports(("pynetdicom",), inside=("archive",))
    assert is_within("monai.deploy.core.Operator", DOORS)
    assert not is_within("monai.data.MetaTensor", DOORS)


def test_version_is_one_of_python_packages() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?\w+)?", monai_chexmask_u.__version__)


def test_the_package_offers_what_a_notebook_needs() -> None:
    assert set(monai_chexmask_u.__all__) == PUBLIC
    assert set(dir(monai_chexmask_u)) >= PUBLIC
    missing = [name for name in PUBLIC if getattr(monai_chexmask_u, name, None) is None]
    assert missing == []
    with pytest.raises(AttributeError, match="has no attribute 'segmant'"):
        _ = monai_chexmask_u.segmant  # type: ignore[attr-defined]


def test_type_checkers_are_told_the_same() -> None:
    stub = PACKAGE / "__init__.pyi"
    assert (PACKAGE / "py.typed").is_file()
    assert offered(stub) == monai_chexmask_u.__all__
    told = {name.rpartition(".")[2]: name.rpartition(".")[0] for name in imports(stub)}
    assert told.keys() == PUBLIC - {"__version__"}
    for name, module in told.items():
        assert getattr(importlib.import_module(module), name) is getattr(monai_chexmask_u, name), name


def test_the_package_is_imported_without_the_slow_ones_and_its_use_warns_of_nothing_to_come(tiny_bundle: Path) -> None:
    program = """
import sys, warnings
warnings.simplefilter("error", FutureWarning)
import monai_chexmask_u
assert not {"numpy", "torch", "monai", "pydicom"} & sys.modules.keys()
import numpy
ramp = numpy.tile(numpy.arange(200, dtype=numpy.uint16), (200, 1))
print(monai_chexmask_u.segment(ramp, model=sys.argv[1], num_samples=2, device="cpu"))
assert "monai" not in sys.modules  # its import takes longer than all others together
"""
    done = subprocess.run([sys.executable, "-c", program, str(tiny_bundle)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("LandmarkSegmentation of a radiograph of 200 x 200 pixels")


def test_help_comes_without_the_slow_packages() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "monai_chexmask_u", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "segment" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"typer", "monai_chexmask_u.cli"} <= imported
    slow = ("torch", "monai", "numpy", "pydicom", "highdicom", "PIL", "pynetdicom", "requests")
    assert [name for name in imported if is_within(name, slow)] == []
