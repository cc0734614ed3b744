# What a job of the API finds on its node, one NAME=VALUE a line, in a file that is there completely or not at all.
# The lines above this one set probe_python and probe_report.

{
    printf 'variables=%s\n' "$(compgen -e | sort | tr '\n' ' ')"
    printf 'python=%s\n' "$("$probe_python" -c 'import platform; print(platform.python_version())' 2>/dev/null)"
    printf 'snakemake=%s\n' "$("$probe_python" -m snakemake --version 2>/dev/null)"
    printf 'module=%s\n' "$(type -t module)"
    printf 'login_module=%s\n' "$(bash -lc 'type -t module' 2>/dev/null </dev/null)"
    printf 'scancel=%s\n' "$(command -v scancel)"
} >"$probe_report.part"
mv "$probe_report.part" "$probe_report"
