"""Measure all baselines in one run: ``python -m benchmarks.baselines --data JSRT -o out/baselines``."""

from benchmarks.baselines.cli import main

main()
