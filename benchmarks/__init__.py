"""Every figure that docs/benchmarks.md quotes, measured on the real process: `python -m benchmarks`, or `make bench`."""
