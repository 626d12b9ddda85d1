"""Baselines trained like HybridGNet, to compare with: ``python -m benchmarks.baselines --help``."""
