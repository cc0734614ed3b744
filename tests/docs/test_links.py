"""What the documentation points to is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.catalog import rendered
from tests.docs.pages import OTHER_PAGES, PAGES, ROOT, Page

REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]


def anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def target(page: Page, link: str) -> str | None:
    """What a link points to in this project, None for a page of others."""
    if link.startswith(REPOSITORY):
        path = link.removeprefix(REPOSITORY).removeprefix("/blob/main/")
        return path if path and not path.startswith("#") else f"README.md{path}"
    if link.startswith("https://"):
        return None
    return page.name + link if link.startswith("#") else str(Path(page.name).parent / link)


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    """Files of the project are there, and chapters have the anchors that are named."""
    for _, link in page.links():
        path, _, fragment = (target(page, link) or "").partition("#")
        assert (ROOT / path).exists(), link
        assert not fragment or fragment in {anchor(heading) for _, heading in Page(path).headings()}, link


def test_pages_of_the_catalog_lead_out_by_whole_addresses() -> None:
    """The catalog knows the two pages and nothing beside them."""
    links = [link for page in PAGES[1:] for _, link in page.links()]

    assert [link for link in links if not link.startswith(("#", "https://"))] == []


def test_anchors_are_the_same_in_the_catalog() -> None:
    """Docutils makes the same anchors as GitHub of the headings that links point to."""
    wanted = {link.removeprefix("#") for _, link in Page("docs/further.md").links() if link.startswith("#")}

    assert wanted
    assert wanted <= set(rendered(ROOT / "docs").ids)
