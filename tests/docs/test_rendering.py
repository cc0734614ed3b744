"""docs/intro.md and docs/further.md become a page of the Snakemake plugin catalog without a warning."""

from __future__ import annotations

from docutils import nodes

from tests.docs.catalog import rendered
from tests.docs.pages import ROOT, Page


def test_catalog_renders_the_documentation_without_warning() -> None:
    """Chapters, blocks and tables arrive as such, and nothing is left that neither language understands."""
    page = rendered(ROOT / "docs")

    further = Page("docs/further.md")
    chapters = [node.astext() for node in page.findall(nodes.title)]
    assert chapters[-len(further.headings()) :] == [heading.replace("`", "") for _, heading in further.headings()]
    assert len(list(page.findall(nodes.literal_block))) == len(further.blocks())
    assert len(list(page.findall(nodes.table))) == further.prose.count("\n|---")
    assert not list(page.findall(nodes.title_reference)), "code was not taken for code"
    assert not [text for text in page.findall(nodes.Text) if "`" in text]


def test_intro_has_no_heading_and_further_begins_at_the_third_level() -> None:
    """The catalog puts both below headings of its own."""
    assert Page("docs/intro.md").headings() == []
    assert {level for level, _ in Page("docs/further.md").headings()} == {3}
