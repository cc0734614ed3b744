"""Finds out what keeps jobs from running: the ticket, the network, the service, or what a job finds on its node."""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.doctor.connection import Examination
from snakemake_executor_plugin_frceapi.doctor.probe import Probe
from snakemake_executor_plugin_frceapi.doctor.step import Finding, Outcome

__all__ = ["Examination", "Finding", "Outcome", "Probe"]
