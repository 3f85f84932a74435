"""Benchmarks: the promises as ratios taken in one run, with stock TabPy as the yardstick."""
