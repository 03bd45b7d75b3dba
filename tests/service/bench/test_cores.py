"""Processor time goes to whom it belongs."""

import os
import time

from service.bench.cores import CoreSeconds, read_core_seconds


def test_what_this_process_burns_is_its_own():
    before = read_core_seconds(os.getpid())
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    used = read_core_seconds(os.getpid()).since(before)
    assert 0.25 < used.service < 0.6
    assert 0.29 < used.client < 0.6
    assert used.total >= used.service - 0.05


def test_the_rest_is_what_others_had():
    used = CoreSeconds(service=1.5, client=0.1, idle=0.2, total=2.0)
    assert used.describe(50) == (
        "core-ms an answer: service 30.0, load generator 2.00; "
        "of the cores others had 10.0% and 10.0% were idle"
    )
