"""List the models that the label server has trained, and go back to an older one: `python -m label.models`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from label.tasks.model_versions import ModelStore

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser("python -m label.models", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path(__file__).parent / "model", help="as for python -m label")
    parser.add_argument("--model", type=Path, help="as for python -m label")
    parser.add_argument(
        "--rollback",
        nargs="?",
        const=-1,
        type=int,
        metavar="VERSION",
        help="use this version again; without a number the one that the model in use was trained from",
    )
    options = parser.parse_args(arguments)
    store = ModelStore(options.models, options.model)
    try:
        if options.rollback is not None:
            store.rollback(None if options.rollback < 0 else options.rollback)
        in_use = store.current()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for record in [{"version": 0, "published": "shipped"}, *store.history()]:
        errors = [(record.get(key) or {}).get("distance_px1024") for key in ("before", "after")]
        change = "" if None in errors else f"  landmark error {errors[0]:.2f} to {errors[1]:.2f} px of 1024"
        mark = "*" if record["version"] == in_use.number else " "
        print(f"{mark} {record['version']:>3}  {record.get('published', 'its record cannot be read')}{change}")
    for problem in store.problems():
        print(f"problem: {problem}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
