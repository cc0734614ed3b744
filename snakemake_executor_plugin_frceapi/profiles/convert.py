"""A profile for the slurm plugin → one for this plugin."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.profiles.edits import Edits
from snakemake_executor_plugin_frceapi.profiles.hints import hint
from snakemake_executor_plugin_frceapi.profiles.settings import MAPPED, WITHOUT_MEANING

_PREFIX = "slurm_"
_NO_SUCH_SETTING = "neither plugin has such a setting"
_ANY_RULE = "RULE"


def convert(text: str) -> str:
    """Return a profile with the settings of this plugin.

    Settings are renamed, or left as comments that say why they have no meaning here; resources are kept, with a comment
    above those that this plugin leaves out or refuses. Everything else is what it was, and a profile that was converted
    already stays as it is.

    Raises:
        SettingsError: the text is no profile, or one for another executor.
    """
    edits = Edits(text)
    root = _compose(text)
    if root is not None:
        _convert_mapping(root, edits)
    converted = edits.result()
    _compose(converted)
    return converted


def _compose(text: str) -> yaml.MappingNode | None:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise SettingsError(f"the profile is no YAML: {place}{problem}; correct it") from None
    if root is not None and (not isinstance(root, yaml.MappingNode) or root.flow_style):
        raise SettingsError("the profile is no mapping of one setting a line; write each as 'NAME: VALUE'")
    return root


def _convert_mapping(mapping: yaml.MappingNode, edits: Edits) -> None:
    """Convert the settings of a mapping, and of those below its conditions in YTE."""
    for key, value in mapping.value:
        name = str(key.value)
        if name.startswith("?") and isinstance(value, yaml.MappingNode):
            _convert_mapping(value, edits)
        elif name == "executor":
            _convert_executor(value, edits)
        elif name.replace("-", "_").startswith(_PREFIX):
            _convert_setting(name.replace("-", "_").removeprefix(_PREFIX), key, value, edits)
        elif name in ("default-resources", "set-resources"):
            for rule, resource, place, content in _resources(name, value):
                if comment := hint(rule, resource, content):
                    edits.comment_above(place, comment)


def _convert_executor(value: yaml.Node, edits: Edits) -> None:
    if value.value not in ("slurm", "frceapi"):
        raise SettingsError(f"the profile is for executor {value.value!r}; give one for the executor slurm")
    edits.replace(value, "frceapi")


def _convert_setting(setting: str, key: yaml.Node, value: yaml.Node, edits: Edits) -> None:
    if setting not in MAPPED:
        why = WITHOUT_MEANING.get(setting, _NO_SUCH_SETTING)
        edits.comment_above(key, f"Without a meaning here: {why}.")
        edits.comment_out(key, value)
        return
    edits.replace(key, f"frceapi-{setting.replace('_', '-')}")
    if setting == "delete_logfiles_older_than" and str(value.value).startswith("-"):
        edits.replace(value, "0")


def _resources(name: str, value: yaml.Node) -> Iterator[tuple[str, str, yaml.Node, str]]:
    """Yield rule, resource, place and content of each resource, in both of the forms that Snakemake takes."""
    if isinstance(value, yaml.MappingNode):
        for key, inner in value.value:
            if name == "default-resources" and isinstance(inner, yaml.ScalarNode):
                yield _ANY_RULE, key.value, key, inner.value
            elif isinstance(inner, yaml.MappingNode):
                yield from ((key.value, *found[1:]) for found in _resources("default-resources", inner))
    elif isinstance(value, yaml.SequenceNode):
        for item in value.value:
            target, _, content = str(item.value).partition("=")
            rule, _, resource = target.rpartition(":")
            yield rule or _ANY_RULE, resource.strip(), item, content.strip()
