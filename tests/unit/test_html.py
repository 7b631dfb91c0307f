"""The HTML renderer: one page that needs nothing else, every text escaped, every note reachable."""

import re
from html.parser import HTMLParser

import pytest
import report_tables

from vadbench.report.tables import html

VOID = {"meta"}


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, and the text inside each cell and
    heading.
    """

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, "tags are nested"

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]

    def values(self, attribute):
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(params=["published", "nasty", "wide"])
def page(request):
    return Page(html.render(getattr(report_tables, request.param)()))


def shown(text):
    return " ".join(text.split())


def test_tags_are_closed_and_every_heading_has_a_scope(page):
    assert not page.open
    assert all(
        attributes.get("scope") in ("col", "row", "colgroup", "rowgroup")
        for attributes in page.all("th")
    )
    assert all(attributes.get("scope") for attributes in page.all("th"))


def test_every_note_is_linked_and_every_link_has_its_note(page):
    identities = page.values("id")
    targets = {href.removeprefix("#") for href in page.values("href")}
    assert len(identities) == len(set(identities))
    assert targets == {attributes["id"] for attributes in page.all("li")}


def test_the_page_needs_nothing_else(page):
    assert not page.values("src")
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "script", "img", "iframe"})
    assert all(href.startswith("#") for href in page.values("href"))


def test_every_text_is_escaped():
    cells = [shown(cell) for cell in Page(html.render(report_tables.nasty())).cells]
    # data set, metric, method and features of the row, features of the paper
    assert cells.count(shown(report_tables.NASTY)) == 5
    assert shown(f"{report_tables.NASTY}2") in cells  # method of the paper, with its note
    assert shown(f"Published ({report_tables.NASTY})") in cells


def test_a_row_shows_value_deviation_mark_interval_and_difference():
    cells = [shown(cell) for cell in Page(html.render(report_tables.published())).cells]
    start = cells.index("mulde")
    assert cells[start : start + 4] == [
        "mulde",
        "velocity@file.vec",
        "97.1 ± 0.2 [93.0, 98.9] n=12Δ −0.3",
        "90.0 ≈",
    ]


def test_a_clear_best_is_strong_its_second_underlined_and_a_contested_best_is_neither():
    text = html.render(report_tables.published())
    assert re.findall(r"<(strong|u)>(.*?)</\1>", text) == [("strong", "97.1"), ("u", "95.3")]
    assert text.count("≈</abbr>") == 2


def test_published_rows_stand_in_blocks_of_their_own_with_their_source():
    page = Page(html.render(report_tables.published()))
    blocks = [shown(cell) for cell in page.cells if "Published" in cell or "Measured" in cell]
    assert blocks == [
        "Measured",
        "Published (mulde-cvpr2024, table1)",
        "Published (itae-nf-pr2022, table3)",
    ]
    assert len(page.all("tbody")) == 3


def test_the_caption_tells_the_protocol_with_its_code_and_the_marks():
    text = html.render(report_tables.published())
    caption = re.search(r"<caption>(.*)</caption>", text, re.DOTALL).group(1)
    assert "Preset <code>fast</code>; 12 test videos" in caption
    assert "In brackets: 95 % interval" in caption
    assert "underlined: the second behind it" in caption


def test_several_data_sets_span_their_columns():
    page = Page(html.render(report_tables.wide()))
    assert [
        attributes["colspan"] for attributes in page.all("th") if attributes["scope"] == "colgroup"
    ] == ["8", "8"]


def test_it_follows_the_readers_choice_of_light_or_dark_and_scrolls_by_keyboard():
    page = Page(html.render(report_tables.published()))
    assert "prefers-color-scheme: dark" in html.TEMPLATE.read_text()
    assert any(
        attributes.get("tabindex") == "0" and attributes.get("role") == "region"
        for attributes in page.all("div")
    )
