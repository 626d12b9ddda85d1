"""What the application is to do: from the command line, else from its configuration file ``app.yaml``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from app.archive_settings import ARCHIVE_KEYS, ArchiveSettings, add_archive_options, archive_settings
from monai_chexmask_u.writers.formats import parse_formats

__all__ = ["Settings", "read_settings"]

DEFAULT_CONFIGURATION: Final = Path(__file__).resolve().parent / "app.yaml"
# A package's container sets it to the configuration file that the package was made with.
CONFIGURATION_VARIABLE: Final = "HOLOSCAN_CONFIG_PATH"
DEFAULT_RESULTS: Final = ("json", "png", "seg", "pr", "sr")
# Keys of the sections that the application reads; others are the packager's.
SECTIONS: Final = {"results": ("write", "reproducible-uids"), "archive": ARCHIVE_KEYS}


@dataclass(frozen=True)
class Settings:
    """What the application is to do.

    Attributes:
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`, in the order of writing.
        reproducible_uids: whether DICOM results have the same UIDs in every run.
        archive: where the study comes from and where the results go.
    """

    formats: tuple[str, ...]
    reproducible_uids: bool = False
    archive: ArchiveSettings = field(default_factory=ArchiveSettings)


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
    path = _configuration_file(options.config)
    sections = _sections(path)
    formats, reproducible = _results(sections["results"], path)
    if options.write is not None:
        formats = parse_formats(options.write)
    settings = Settings(
        formats=tuple(formats),
        reproducible_uids=options.reproducible_uids or reproducible,
        archive=archive_settings(options, sections["archive"]),
    )
    return settings, others


def _parser() -> argparse.ArgumentParser:
    # Abbreviations would take options of the SDK; its own parser answers to --help.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--write")
    parser.add_argument("--reproducible-uids", action="store_true")
    add_archive_options(parser)
    return parser


def _configuration_file(chosen: Path | None) -> Path:
    """Return the file that was asked for, else that of the container, else the application's own."""
    if chosen is not None:
        return chosen
    variable = os.environ.get(CONFIGURATION_VARIABLE)
    return Path(variable) if variable and Path(variable).is_file() else DEFAULT_CONFIGURATION


def _sections(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Read the sections of a configuration file and check their keys."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise OSError(f"{path}: the configuration cannot be read ({error.strerror}); check --config") from error
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: this is no YAML file; see app/app.yaml for one") from error
    sections = {}
    for name, keys in SECTIONS.items():
        section = content.get(name) or {} if isinstance(content, dict) else None
        if not isinstance(section, dict):
            raise ValueError(f"{path}: {name} must hold keys and values; see app/app.yaml for an example")
        unknown = sorted(set(map(str, section)) - set(keys))
        if unknown:
            raise ValueError(f"{path}: unknown key {', '.join(unknown)} in {name}; there are {', '.join(keys)}")
        sections[name] = section
    return sections


def _results(section: Mapping[str, Any], path: Path) -> tuple[list[str], bool]:
    """Return the formats and whether UIDs are reproducible."""
    wanted, reproducible = section.get("write", list(DEFAULT_RESULTS)), section.get("reproducible-uids", False)
    try:
        formats = parse_formats(",".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted))
    except ValueError as error:
        raise ValueError(f"{path}: results, write: {error}") from error
    if not isinstance(reproducible, bool):
        raise ValueError(f"{path}: results, reproducible-uids: must be true or false")
    return formats, reproducible
