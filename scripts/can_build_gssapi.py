"""Exit with 0 if an extension module that uses Kerberos can be compiled for this Python, else with 1."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SOURCE = "#include <Python.h>\n#include <gssapi/gssapi_ext.h>\n"


def can_compile() -> bool:
    """Compile a file that includes both headers, with the compiler and flags that setuptools would use."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    krb5_config = shutil.which("krb5-config")
    if not krb5_config or not shutil.which(compiler[0]):
        return False
    flags = subprocess.run([krb5_config, "--cflags", "gssapi"], capture_output=True, text=True, check=False).stdout
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "probe.c")
        source.write_text(SOURCE, encoding="ascii")
        command = [*compiler, *shlex.split(flags), f"-I{sysconfig.get_path('include')}"]
        done = subprocess.run(
            [*command, "-c", str(source), "-o", str(source.with_suffix(".o"))], capture_output=True, check=False
        )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(not can_compile())
