"""The package keeps its shape: import arrows, sizes, a light import, and nothing in the tree that is true here only."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "snakemake_executor_plugin_frceapi"
ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
MAX_MODULE_LINES = 350
MAX_FUNCTION_LINES = 50

# Written in pieces, so that this file does not hold what it looks for.
FOREIGN = re.compile(
    "|".join(
        [
            r"\bpypi\." + "org",
            "pythonhosted\\." + "org",
            r"\bdeb\.debian\." + "org",
            r"registry\.npmjs\." + "org",
            r"conda\.anaconda\." + "org",
            "/work/" + r"(main|shared|\.)",
            "/tmp/" + "lab",
            "/root/" + r"[.\w]",
            r"/home/" + r"\w+/",
        ]
    )
)


def imported_modules(tree: ast.AST, module: str) -> set[str]:
    """Every module that a syntax tree imports, wherever the import stands, also by a literal name."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(name, names, level):
                base = ".".join([*module.split(".")[:-level], *filter(None, [name])]) if level else str(name)
                found |= {base} | {f"{base}.{alias.name}" for alias in names}
            case ast.Call(ast.Name(function) | ast.Attribute(attr=function), [ast.Constant(str(name)), *_]):
                found |= {name} if function in {"__import__", "import_module", "importorskip"} else set()
    return found


def modules_of(root: Path) -> Iterator[tuple[str, Path]]:
    """Names, relative to the package, and paths of the modules of a tree."""
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).with_suffix("").parts
        yield ".".join(parts), path


def broken_arrows(root: Path) -> list[str]:
    """The imports across the border between plugin and sandbox, of which only the command line's is allowed."""
    broken = []
    for module, path in modules_of(root):
        inside = module.split(".")[0] == "sandbox"
        for name in sorted(imported_modules(ast.parse(path.read_bytes()), f"{PACKAGE}.{module}")):
            if name.split(".")[0] != PACKAGE or name == PACKAGE:
                continue
            goes_inside = name.split(".")[1] == "sandbox"
            if inside != goes_inside and not (module.split(".")[0] == "cli" and goes_inside):
                broken.append(f"{module} imports {name}")
    return broken


def oversized(source: str) -> list[str]:
    """What is longer than the habit allows: the module itself or one of its functions, by name and lines."""
    found = []
    if (lines := len(source.splitlines())) > MAX_MODULE_LINES:
        found.append(f"module: {lines}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            found += [f"{node.name}: {lines}"] * (lines > MAX_FUNCTION_LINES)
    return found


def unexplained(source: str) -> list[str]:
    """The directives that silence a tool without saying why, behind the directive or as its own comment."""
    directive = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no (?:cover|branch))(?P<rest>.*)$")
    codes = re.compile(r"^\s*(?::\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|\[[\w, -]+\])?")
    return [
        line.strip()
        for line in source.splitlines()
        if (match := directive.search(line)) and not re.search(r"\w+ \w+", codes.sub("", match["rest"]))
    ]


def unexplained_ignores(configuration: str) -> list[str]:
    """The rules that the configuration of ruff ignores without a reason in a comment beside them."""
    section = configuration.partition("[tool.ruff.lint]")[2].partition("\n[tool.mypy]")[0]
    rules = re.findall(r'^ {4}"([A-Z]+\d*)",(.*)$', section, re.MULTILINE)
    return [rule for rule, rest in rules if not re.search(r"#.*\w+ \w+", rest)]


def tracked_files() -> list[Path]:
    """The files under version control, or all files of the project where there is no repository."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    kept = (path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts))
    return [path for path in kept if path.is_file()]


def foreign_lines(path: Path) -> list[str]:
    """The lines of a file that name a package registry or a place on the machine of whoever wrote them."""
    text = path.read_bytes().decode("utf-8", "replace")
    return [f"{path.name}:{number}" for number, line in enumerate(text.splitlines(), 1) if FOREIGN.search(line)]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a tree."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(root), "COLUMNS": "300"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def empty_package(tmp_path: Path) -> Path:
    """A tree with the project's import contracts and the package's modules, all of them empty."""
    for module, _ in modules_of(ROOT):
        path = tmp_path / PACKAGE / Path(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(CONFIGURATION, encoding="utf-8")
    return tmp_path


def add_import(root: Path, module: str, imported: str) -> None:
    """Let a module of a tree import something inside a function, where it is easily overlooked."""
    path = root / PACKAGE / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"def late():\n    import {imported}\n", encoding="utf-8")


def test_contracts_hold_for_empty_package(empty_package: Path) -> None:
    """The contracts name what exists, so that a failure below comes from the import and from nothing else."""
    done = lint_imports(empty_package)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        pytest.param("job.py", f"{PACKAGE}.resources", "Imports point downwards", id="upwards"),
        pytest.param("errors.py", f"{PACKAGE}.sandbox", "only the command line knows", id="plugin-to-sandbox"),
        pytest.param("sandbox/made_up.py", f"{PACKAGE}.errors", "The sandbox knows nothing", id="sandbox-to-plugin"),
        pytest.param("tracker.py", "requests.adapters", "speaks HTTP", id="requests"),
        pytest.param("tracker.py", "gssapi", "knows Kerberos", id="gssapi"),
        pytest.param("settings.py", "snakemake.api", "none knows Snakemake", id="snakemake"),
        pytest.param("job.py", "snakemake_interface_common.exceptions", "Snakemake's interface", id="interface"),
        pytest.param("settings.py", "psutil", "Only the sandbox serves", id="psutil"),
        pytest.param("wire/made_up.py", "socket", "Pure modules", id="pure"),
        pytest.param("made_up.py", "json", "not listed as layers", id="module-without-place"),
    ],
)
def test_contracts_break_by_wrong_import(empty_package: Path, module: str, imported: str, contract: str) -> None:
    """Each kind of wrong arrow is reported under the contract that forbids it."""
    add_import(empty_package, module, imported)

    done = lint_imports(empty_package)

    assert done.returncode == 1
    broken = done.stdout.partition("Broken contracts")[2] or done.stdout
    assert re.search(contract, broken), done.stdout


def test_contracts_keep_layers_without_cycle(empty_package: Path) -> None:
    """Two modules of a subpackage that import each other are reported."""
    add_import(empty_package, "wire/one.py", f"{PACKAGE}.wire.two")
    add_import(empty_package, "wire/two.py", f"{PACKAGE}.wire.one")

    assert "import each other" in lint_imports(empty_package).stdout.partition("Broken contracts")[2]


def test_package_keeps_sandbox_apart() -> None:
    """No import crosses the border between plugin and sandbox, not even one by a literal name."""
    assert broken_arrows(ROOT) == []


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        ("sandbox/queue.py", f"from {PACKAGE}.wire import encode", True),
        ("sandbox/queue.py", "from ..errors import JobError", True),
        ("sandbox/queue.py", f"import_module('{PACKAGE}.job')", True),
        ("client.py", f"from {PACKAGE} import sandbox", True),
        ("client.py", f"importlib.import_module('{PACKAGE}.sandbox.service')", True),
        ("cli/__init__.py", f"from {PACKAGE}.sandbox import serve", False),
        ("sandbox/queue.py", "from .jobs import Job", False),
        ("client.py", f"import {PACKAGE}.wire", False),
    ],
)
def test_border_check_finds_each_form_of_import(tmp_path: Path, module: str, line: str, *, expected: bool) -> None:
    """The check above fails when an arrow is broken, in whatever way the import is written."""
    path = tmp_path / PACKAGE / module
    path.parent.mkdir(parents=True)
    path.write_text(f"def late():\n    {line}\n", encoding="utf-8")

    assert bool(broken_arrows(tmp_path)) is expected


@pytest.mark.parametrize("path", [pytest.param(path, id=module) for module, path in modules_of(ROOT)])
def test_module_keeps_size_habits(path: Path) -> None:
    """A module and each of its functions can be read at one go."""
    assert oversized(path.read_text(encoding="utf-8")) == []


def test_size_check_finds_long_module_and_function() -> None:
    """The check of sizes counts from the line of ``def`` to the last line, and the module's lines."""
    body = "    pass\n" * MAX_FUNCTION_LINES

    assert oversized(f"def long():\n{body}") == ["long: 51"]
    assert oversized(f"class A:\n    async def fine(self):\n{'        pass' + chr(10)}") == []
    assert oversized("x = 1\n" * 351) == ["module: 351"]


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc"])
def test_package_has_no_drawer_module(name: str) -> None:
    """No module is a drawer for whatever has no place."""
    assert [module for module, _ in modules_of(ROOT) if name in module.split(".")] == []


@pytest.mark.parametrize("broken", ["absent", "raising"])
def test_importing_package_is_light(tmp_path: Path, broken: str) -> None:
    """Snakemake imports every executor plugin at each start: no HTTP, no Kerberos library, not even a working one."""
    code = "raise ImportError('libgssapi_krb5.so.2: cannot open shared object file')\n"
    if broken == "absent":
        code = "raise ModuleNotFoundError('No module named gssapi', name='gssapi')\n"
    (tmp_path / "gssapi.py").write_text(code, encoding="utf-8")
    program = (
        f"import sys, {PACKAGE} as plugin\n"
        "assert plugin.Executor and plugin.ExecutorSettings and plugin.common_settings\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert {"gssapi", "requests", "urllib3", "werkzeug", "psutil"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("module", ["courier.__main__", "cli"])
def test_programs_load_little(module: str) -> None:
    """The courier and the console command start without Snakemake's interface, and without what only a proxy needs."""
    program = f"import sys, {PACKAGE}.{module}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))\n"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert PACKAGE in loaded
    assert {"asyncio", "requests", "snakemake_interface_executor_plugins", "urllib3"}.isdisjoint(loaded)


def test_tracked_files_name_no_registry_and_no_machine() -> None:
    """What is in the tree is as true on another machine, behind another registry."""
    files = tracked_files()

    assert ROOT / "pyproject.toml" in files
    assert [line for path in files for line in foreign_lines(path)] == []


@pytest.mark.parametrize(
    "line", ["see https://pypi" + ".org/project/x", "cd /tmp/" + "lab/v", "cat /root/" + ".config"]
)
def test_foreign_check_finds_registry_and_machine(tmp_path: Path, line: str) -> None:
    """The check above sees a registry's host and a path of a machine."""
    (tmp_path / "notes.txt").write_text(f"fine: /tmp/spool\n{line}\n", encoding="utf-8")

    assert foreign_lines(tmp_path / "notes.txt") == ["notes.txt:2"]


def test_ruff_ignores_have_reasons() -> None:
    """Whoever wants to take an ignore away finds its reason beside it."""
    lint = tomllib.loads(CONFIGURATION)["tool"]["ruff"]["lint"]
    listed = lint["ignore"] + [rule for rules in lint["per-file-ignores"].values() for rule in rules]
    found = re.findall(r'^ {4}"([A-Z]+\d*)",', CONFIGURATION.partition("[tool.ruff.lint]")[2], re.MULTILINE)

    assert sorted(found) == sorted(listed)
    assert unexplained_ignores(CONFIGURATION) == []


def test_ignore_check_finds_missing_reason() -> None:
    """A rule without a comment, or with an empty one, is reported by name."""
    text = '[tool.ruff.lint]\nignore = [\n    "D203", # contradicts another rule\n    "S101",\n    "EM", #\n]\n'

    assert unexplained_ignores(text) == ["S101", "EM"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=str(path.relative_to(ROOT)))
        for path in sorted([*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "scripts").glob("*.py")])
    ],
)
def test_silenced_lines_have_reasons(path: Path) -> None:
    """Each line at which a tool is told to be silent says why."""
    assert unexplained(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = 1  # no" + "qa: S603", True),
        ("x = 1  # no" + "qa: S603, S607 - fixed words", False),
        ("x = 1  # type: " + "ignore[arg-type]", True),
        ("x = 1  # type: " + "ignore[arg-type]  # the stub is wrong", False),
        ("x = 1  # pragma: " + "no cover", True),
        ("x = 1  # pragma: " + "no cover - only on Windows", False),
    ],
)
def test_silence_check_wants_words(line: str, *, expected: bool) -> None:
    """A directive is explained by words behind it; its rule codes are no words."""
    assert bool(unexplained(line)) is expected


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.name)
        for path in [ROOT / ".ci" / "run", *sorted((ROOT / "scripts").iterdir())]
        if path.is_file() and path.suffix in {"", ".sh"}
    ],
)
def test_shell_script_parses(path: Path) -> None:
    """A slip in a branch that runs on other machines only is found here."""
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
