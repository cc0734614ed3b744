"""Profiles that were written for the slurm plugin, as profiles for this one."""
