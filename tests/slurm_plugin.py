"""The slurm plugin, for which profiles were written; it stands apart from what Snakemake imports at each call."""

from __future__ import annotations

import sys
from pathlib import Path

PLACE = Path(sys.prefix) / "slurm-plugin"
WHY_NOT = "the slurm plugin is not installed; type: scripts/setup dev"
