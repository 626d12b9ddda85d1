"""The layout of the code keeps to what ``docs/architecture.md`` says."""

from __future__ import annotations

from pathlib import Path

from house import measure

MOST_LOOSE_MODULES = 16
MOST_FILES = 24


def test_the_house_keeps_to_its_rules(repository: Path) -> None:
    house = measure(repository)
    assert house.unlisted == ()
    assert house.against == ()
    assert house.circles == ()
    assert len(house.loose) <= MOST_LOOSE_MODULES, house.loose
    assert {folder: count for folder, count in house.sizes.items() if count > MOST_FILES} == {}


def test_breaches_are_found(tmp_path: Path) -> None:
    files = {
        "docs/architecture.md": "## The house\n```\nmonai_chexmask_u/\n  low.py high/    words\n  top.py\napp/\n```\n",
        "monai_chexmask_u/low.py": "def late():\n    from monai_chexmask_u import top\n",
        "monai_chexmask_u/high/__init__.py": "from monai_chexmask_u.high.one import a\n",
        "monai_chexmask_u/high/one.py": "import monai_chexmask_u.high.two\n",
        "monai_chexmask_u/high/two.py": "from monai_chexmask_u.high import one\n",
        "monai_chexmask_u/top.py": "from monai_chexmask_u.high import one\n",
        "monai_chexmask_u/forgotten.py": "",
        "app/__init__.py": "import monai_chexmask_u.top\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    house = measure(tmp_path)
    assert house.against == (("monai_chexmask_u.low", "monai_chexmask_u.top"),)
    assert house.circles == (("monai_chexmask_u.high.one", "monai_chexmask_u.high.two"),)
    assert house.unlisted == ("monai_chexmask_u.forgotten",)
    assert sorted(house.loose) == ["forgotten.py", "low.py", "top.py"]
    assert house.sizes["monai_chexmask_u/high"] == 3
