"""Measure what predicting costs on this machine.

Noise on a shared machine is larger than most differences. So everything is timed in turn, round by
round, and ratios within a round are compared and saved. `run.run_bench` runs everything. Nothing is
imported here, because `memory` is a program whose own memory is measured.
"""
