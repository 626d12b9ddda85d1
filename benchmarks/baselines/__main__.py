"""Measure all baselines in one run: ``python -m benchmarks.baselines --data ../shared/data/jsrt -o out/baselines``."""

from benchmarks.baselines.cli import main

main()
