"""Which partition table applies, and where it is read."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.partitions.file import parse_table
from snakemake_executor_plugin_frceapi.partitions.table import NO_TABLE, PartitionTable

FRCE = "frce"
"""The word that stands for FRCE's own table where a file can be named."""

VARIABLE = "SNAKEMAKE_SLURM_PARTITIONS"
"""Environment variable with the name of a partition file, as for the slurm plugin."""

_FRCE_HOST = "hpcapi.ncifcrf.gov"


def applicable_table(config: str | None, environment: Mapping[str, str], url: str) -> PartitionTable:
    """Return the table that applies to a service.

    Args:
        config: what ``--frceapi-partition-config`` names, a file or `FRCE`; None: nothing.
        environment: where `VARIABLE` may be.
        url: base URL of the service. FRCE's own table applies to FRCE; any other service has none unless it is named.

    Raises:
        SettingsError: the file cannot be used.
    """
    if config:
        return frce_table() if config == FRCE else _read(Path(config), "--frceapi-partition-config")
    if named := environment.get(VARIABLE):
        return _read(Path(named), VARIABLE)
    return frce_table() if urlsplit(url).hostname == _FRCE_HOST else NO_TABLE


def frce_table() -> PartitionTable:
    """Return FRCE's own table."""
    file = resources.files(__package__) / "frce.yaml"
    return parse_table(file.read_text("utf-8"), str(file))


def _read(path: Path, setting: str) -> PartitionTable:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsError(
            f"{setting}: the partition file '{path}' cannot be read ({reason}); name a YAML file of partitions"
        ) from None
    return parse_table(text, str(path))
