"""The signals that end a run, with a main thread that waits for something else."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WAITS = """
import signal, threading, time
from snakemake_executor_plugin_frceapi.stop_signals import StopSignals

signals = StopSignals()
signals.follow()

def send():
    print("begun", flush=True)
    time.sleep(0.5)
    # As the system may, it gives the signal to a thread that is not the main one.
    signal.pthread_kill(threading.get_ident(), signal.{name})
    time.sleep(600)

threading.Thread(target=send, daemon=True).start()
try:
    threading.Semaphore(0).acquire()
except (KeyboardInterrupt, SystemExit) as error:
    print(type(error).__name__)
signals.restore()
print(signal.getsignal(signal.SIGURG) is signal.SIG_DFL, signal.set_wakeup_fd(-1))
"""


@pytest.mark.parametrize(
    ("name", "error"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "SystemExit"), ("SIGHUP", "SystemExit")]
)
def test_signal_ends_a_wait_of_the_main_thread(name: str, error: str) -> None:
    """Whichever thread it comes to; and everything is as it was before, afterwards."""
    code = _WAITS.format(name=name)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert run.stdout.splitlines() == ["begun", error, "True -1"]
    assert run.stderr == ""


def test_ignored_signal_stays_ignored() -> None:
    """That is what nohup is for."""
    code = """
import signal
from snakemake_executor_plugin_frceapi.stop_signals import StopSignals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signals = StopSignals()
signals.follow()
signal.raise_signal(signal.SIGHUP)
signals.restore()
print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert run.stdout == "True\n"
