"""Run Snakemake workflows on the FRCE Slurm cluster through its REST API."""
