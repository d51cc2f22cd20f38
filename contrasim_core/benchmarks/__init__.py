"""Benchmarks that tell which measure to trust: trials with a right answer."""
