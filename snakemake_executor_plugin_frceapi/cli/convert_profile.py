"""``frceapi convert-profile``: writes a profile for this plugin from one for the slurm plugin."""

from __future__ import annotations

import re
from pathlib import Path

import click

_CONFIG = re.compile(r"(?:profile|config)(?:\.v(\d+)\+)?\.yaml")


@click.command("convert-profile")
@click.argument("profile", metavar="SLURM_PROFILE", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, or directory in which to write config.yaml; without it, standard output.",
)
def convert_profile_command(profile: Path, output: Path | None) -> None:
    """Convert a Snakemake profile for the slurm plugin, a file or a directory.

    Settings are renamed, or left as comments that say why they have no meaning here. Resources stay, with a comment
    where this plugin leaves one out or refuses it. Nothing else changes, and no file is overwritten.

    Example:  frceapi convert-profile profiles/slurm -o profiles/frce
    """
    from snakemake_executor_plugin_frceapi.errors import SettingsError
    from snakemake_executor_plugin_frceapi.profiles.convert import convert

    source = _config_file(profile)
    try:
        converted = convert(source.read_text("utf-8-sig"))
        if output is None:
            click.echo(converted, nl=False)
        else:
            _write(output if output.suffix in {".yaml", ".yml"} else output / "config.yaml", converted)
    except SettingsError as error:
        raise click.ClickException(f"{source}: {error}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{source} is no text in UTF-8; give a profile of Snakemake") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}; name another with --output") from None


def _config_file(profile: Path) -> Path:
    """The file that Snakemake reads of a profile: in a directory, the one for its newest version."""
    if not profile.is_dir():
        return profile
    found = {path: int(match[1] or 0) for path in profile.iterdir() if (match := _CONFIG.fullmatch(path.name))}
    if not found:
        raise click.ClickException(f"{profile} has neither config.yaml nor profile.yaml; give a profile of Snakemake")
    return max(sorted(found), key=lambda path: found[path])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
