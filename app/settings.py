"""What the application is to write: from the command line, else from its configuration file ``app.yaml``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from monai_chexmask_u.writers.formats import parse_formats

__all__ = ["Settings", "read_settings"]

DEFAULT_CONFIGURATION: Final = Path(__file__).resolve().parent / "app.yaml"
# A package's container sets it to the configuration file that the package was made with.
CONFIGURATION_VARIABLE: Final = "HOLOSCAN_CONFIG_PATH"
SECTION: Final = "results"
DEFAULT_RESULTS: Final = "json,png,seg,pr,sr"


@dataclass(frozen=True)
class Settings:
    """What the application is to write.

    Attributes:
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`, in the order of writing.
        reproducible_uids: whether DICOM results have the same UIDs in every run.
    """

    formats: tuple[str, ...]
    reproducible_uids: bool = False


def read_settings(arguments: Sequence[str]) -> tuple[Settings, list[str]]:
    """Return the settings, and the arguments that are left for the SDK.

    Raises:
        ValueError: if the configuration file or an option is wrong; the message names it.
        OSError: if the configuration file cannot be read.
    """
    try:
        options, others = _parser().parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ValueError(str(error)) from error
    configured = _configured(_configuration_file(options.config))
    formats = options.write if options.write is not None else configured.get("write", DEFAULT_RESULTS)
    reproducible = options.reproducible_uids or configured.get("reproducible-uids", False)
    return Settings(tuple(parse_formats(formats)), reproducible), others


def _parser() -> argparse.ArgumentParser:
    # Abbreviations would take options of the SDK; its own parser answers to --help.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--write")
    parser.add_argument("--reproducible-uids", action="store_true")
    return parser


def _configuration_file(chosen: Path | None) -> Path:
    """Return the file that was asked for, else that of the container, else the application's own."""
    if chosen is not None:
        return chosen
    variable = os.environ.get(CONFIGURATION_VARIABLE)
    return Path(variable) if variable and Path(variable).is_file() else DEFAULT_CONFIGURATION


def _configured(path: Path) -> Mapping[str, Any]:
    """Read the section of a configuration file and check its values."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise OSError(f"{path}: the configuration cannot be read ({error.strerror}); check --config") from error
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: this is no YAML file; see app/app.yaml for one") from error
    section = content.get(SECTION) or {} if isinstance(content, dict) else None
    if not isinstance(section, dict):
        raise ValueError(f"{path}: {SECTION} must hold keys and values; see app/app.yaml for an example")
    return _checked(section, path)


def _checked(section: dict[str, Any], path: Path) -> Mapping[str, Any]:
    unknown = sorted(set(map(str, section)) - {"write", "reproducible-uids"})
    if unknown:
        raise ValueError(f"{path}: unknown key {', '.join(unknown)} in {SECTION}; there are write, reproducible-uids")
    checked = dict(section)
    if "write" in section:
        wanted = section["write"]
        names = wanted if isinstance(wanted, list) else str(wanted).split(",")
        try:
            checked["write"] = ",".join(parse_formats(",".join(map(str, names))))
        except ValueError as error:
            raise ValueError(f"{path}: {SECTION}, write: {error}") from error
    if not isinstance(section.get("reproducible-uids", False), bool):
        raise ValueError(f"{path}: {SECTION}, reproducible-uids: must be true or false")
    return checked
