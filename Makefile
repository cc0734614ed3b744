# Each command does its own set-up in .venv; the work is in scripts/, where it can be called without make.

.PHONY: help example check test test-long release-check bench cluster clean constraints
.NOTPARALLEL:

help:
	@echo 'make example        run a real analysis through the embedded sandbox; its figure is in example_workflow/results'
	@echo 'make check          format, lint, types, import arrows'
	@echo 'make test           all tests in their short form, with the coverage floor'
	@echo 'make test-long      the long forms of the heavier tests'
	@echo 'make release-check  build wheel and sdist, and look at them as users and the plugin catalog will'
	@echo 'make bench          measure this plugin beside others on the test cluster (Debian, as root), or SCENARIO=chain alone'
	@echo 'make cluster        a KDC, Apache and Slurm with the API before them, to try things by hand (Debian, as root)'
	@echo 'make constraints    pin the newest versions that work together in constraints.txt'
	@echo 'make clean          remove everything that these commands made, the virtual environment too'

example check test test-long release-check bench cluster clean constraints:
	@scripts/$@
