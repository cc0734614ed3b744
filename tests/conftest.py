"""What all suites share: the fixtures for pipeline authors, and how hard property tests try."""

from __future__ import annotations

import signal

from hypothesis import settings

# Loaded here and not through its entry point, which is too early for coverage to see the imports.
pytest_plugins = ["snakemake_executor_plugin_frceapi.sandbox.pytest_plugin"]

# A machine that is busy is no failure, so there is no deadline. What gates a change is the same each time; the long
# form looks elsewhere each time.
settings.register_profile("short", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=2000)
settings.load_profile("short")

# What is ignored here, as under nohup or behind "&", everything that a test starts would ignore too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
