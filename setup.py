"""Builds the package; its metadata stands in pyproject.toml."""

from setuptools import find_packages, setup

# The bundle (weights included) travels inside the package, so that an installed `chexmask-u` works from any folder.
setup(
    packages=[*find_packages(include=["monai_chexmask_u", "monai_chexmask_u.*"]), "monai_chexmask_u.bundle"],
    package_dir={"monai_chexmask_u.bundle": "bundle"},
    package_data={
        "monai_chexmask_u": ["py.typed", "*.pyi"],
        "monai_chexmask_u.annotations": ["landmark_placement.npz"],
        "monai_chexmask_u.demo": ["*.css", "*.js"],
        "monai_chexmask_u.bundle": ["LICENSE", "configs/*", "docs/*", "models/*"],
    },
)
