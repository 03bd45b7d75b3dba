"""What a command prints while it runs."""

import os
import subprocess
import sys

PRINT_AND_WAIT = """
import time
from saliency.cli.progress import progress
with progress("photos", 2) as shown:
    shown.print_result("one line")
    time.sleep(60)
"""


def test_a_result_reaches_a_pipe_at_once():
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-c", PRINT_AND_WAIT],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout.readline() == "one line\n"
        assert process.poll() is None  # else it came with the end
    finally:
        process.kill()
        process.communicate()
