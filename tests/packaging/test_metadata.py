"""What the package index and Snakemake's plugin catalog read of a release."""

from __future__ import annotations

import re
from email import message_from_string
from email.message import Message
from zipfile import ZipFile

import pytest

from tests.packaging.distributions import ROOT, Distributions


@pytest.fixture(scope="module")
def metadata(distributions: Distributions) -> Message:
    """The core metadata of the wheel, read as packaging.python.org's "Core metadata specifications" say."""
    archive = ZipFile(distributions.wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_string(archive.read(name).decode())


def test_names_repository_as_catalog_reads_it(metadata: Message) -> None:
    """The catalog clones that address for docs/, and warns on the plugin's page where it finds none."""
    urls = dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL", []))

    assert re.fullmatch(r"https://github\.com/[\w-]+/snakemake-executor-plugin-frceapi", urls.get("Repository", "")), (
        f"{urls}: write it as Repository to [project.urls] of pyproject.toml"
    )


def test_names_authors_summary_and_keywords(metadata: Message) -> None:
    """All three stand on the page of the package."""
    assert metadata["Author"] or metadata["Author-email"]
    assert "FRCE" in metadata["Summary"]
    assert {"snakemake", "plugin", "executor"} <= set(metadata["Keywords"].split(","))


def test_has_version_of_newest_entry_in_changelog(metadata: Message) -> None:
    """Whoever installs a version finds its changes first."""
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert newest is not None
    assert metadata["Version"] == newest[1], (
        "make version in pyproject.toml and the first entry of CHANGELOG.md the same"
    )


def test_says_which_pythons_it_runs_on(metadata: Message) -> None:
    """The oldest that may install it is the oldest of the classifiers."""
    pattern = r"Programming Language :: Python :: (3\.\d+)"
    named = [found[1] for text in metadata.get_all("Classifier", []) if (found := re.fullmatch(pattern, text))]

    assert named, "name the Pythons in the classifiers of pyproject.toml"
    assert metadata["Requires-Python"] == f">={named[0]}"
    assert named == sorted(named, key=lambda version: int(version.split(".")[1]))


def test_names_oldest_interface_that_it_works_with(metadata: Message) -> None:
    """From that bound the catalog says which Snakemake is needed at least."""
    needed = metadata.get_all("Requires-Dist", [])

    assert any(re.fullmatch(r"snakemake-interface-executor-plugins<\d+,>=[\d.]+", text) for text in needed)
    assert not any(re.match(r"snakemake(?![\w-])", text) for text in needed)


def test_carries_its_licence(metadata: Message, distributions: Distributions) -> None:
    """It is named as SPDX names it, and its text goes along."""
    names = ZipFile(distributions.wheel).namelist()

    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_shows_readme_as_its_description(metadata: Message) -> None:
    """The page of the package is the README, and links into the repository lead there from it."""
    urls = dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL", []))
    shown = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]+)\)", shown)

    assert metadata["Description-Content-Type"] == "text/markdown"
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert shown.replace(f"]({urls['Repository']}/blob/main/", "](").strip() == (ROOT / "README.md").read_text().strip()
