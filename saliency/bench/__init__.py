"""What predicting costs on this machine, against limits measured in the same run.

Noise on a shared machine is larger than most differences, so everything is timed in rounds that
take turns, and what is compared and kept are ratios within a round. `run.run_bench` runs it all.
Nothing is imported here: `memory` is a program whose own memory counts.
"""
