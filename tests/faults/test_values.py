"""Fault matrix, row 38: values of a workflow reach its jobs as they are, and none of them is executed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow

_TEXTS = [
    "a b;touch pwned",
    "it's $(touch pwned)x",
    'a "quoted" `touch pwned`',
    """both 'kinds' "of" quotes && touch pwned""",
    "two\nlines",
    "M\u00fcller \u00df \u65e5\u672c",
    "-rf * ~root #x !x $HOME \\ 100%",
]


def _is_pwned(directory: Path) -> bool:
    return bool(list(directory.rglob("pwned")))


def test_row_38_wildcards_and_file_names_are_only_text(workflow: MakeWorkflow, tmp_path: Path) -> None:
    """Wildcards, the file names that they are part of, and parameters may hold any character that Snakemake can."""
    flow = workflow("""
        import json
        TEXTS = json.load(open("texts.json"))
        wildcard_constraints:
            text="[^/]+"
        rule all:
            input: expand("out/{text}.txt", text=TEXTS)
            output: "all.json"
            run:
                texts = [open(name, encoding="utf-8", newline="").read() for name in input]
                json.dump(texts, open(output[0], "w"))
        rule one:
            output: "out/{text}.txt"
            log: "log/{text}.log"
            params: text=lambda wildcards: wildcards.text + "|" + wildcards.text
            shell: "printf %s {params.text:q} >{output:q}; printf %s {wildcards.text:q} >{log:q}"
    """)
    flow.write("texts.json", json.dumps(_TEXTS))
    flow.succeed("--jobs", "4")

    assert json.loads(flow.read("all.json")) == [f"{text}|{text}" for text in _TEXTS]
    assert sorted(flow.read(f"log/{text}.log") for text in _TEXTS) == sorted(_TEXTS)
    assert len({re.sub("jobs/[0-9a-f]+", "jobs/TOKEN", job.submission.script) for job in flow.jobs}) == 1
    assert not _is_pwned(tmp_path)


def test_row_38_config_values_are_only_text(workflow: MakeWorkflow, tmp_path: Path) -> None:
    """Values of ``--config`` and of a configuration file are in the job what they are in the main process."""
    flow = workflow("""
        import json
        configfile: "config.yaml"
        def seen():
            return json.dumps(config, sort_keys=True)
        onstart:
            open("main.json", "w").write(seen())
        rule one:
            output: "job.json", "params.json"
            params: texts=config["texts"], given=lambda wildcards: config["text1"]
            run:
                open(output[0], "w").write(seen())
                json.dump([params.texts, params.given], open(output[1], "w"))
    """)
    flow.write("config.yaml", json.dumps({"texts": _TEXTS}))
    flow.succeed("--config", *[f"text{number}={text}" for number, text in enumerate(_TEXTS)])

    config = json.loads(flow.read("job.json"))
    assert config == json.loads(flow.read("main.json"))
    assert config["texts"] == _TEXTS
    assert [config[f"text{number}"] for number in range(4)] == _TEXTS[:4]  # later ones mean something in YAML
    assert json.loads(flow.read("params.json")) == [_TEXTS, _TEXTS[1]]
    assert not _is_pwned(tmp_path)


@pytest.mark.parametrize(
    "directory",
    ['it\'s a "dir" $(touch pwned) `touch pwned`; M\u00fcller \u65e5\u672c', "-a*b #c\\d &touch pwned"],
    ids=["quotes", "signs"],
)
def test_row_38_working_directory_may_have_any_name(workflow: MakeWorkflow, tmp_path: Path, directory: str) -> None:
    """Jobs, scripts, logs and groups work in a directory whose name a shell would trip over."""
    flow = workflow(
        """
        rule b:
            input: "a.txt"
            output: "b.txt"
            log: "b.log"
            script: "b.py"
        rule a:
            output: "a.txt"
            group: "g"
            shell: "pwd >{output}"
        """,
        directory=directory,
    )
    flow.write("b.py", "open(snakemake.output[0], 'w').write(open(snakemake.input[0]).read())")
    flow.succeed("--frceapi-keep-successful-logs")

    assert flow.read("b.txt") == f"{flow.directory}\n"
    assert len(flow.files(".snakemake/frceapi_logs/**/*.log")) == 2
    assert flow.left_in_run_directory() == []
    assert not _is_pwned(tmp_path)
