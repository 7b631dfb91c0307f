"""Tables as one HTML file that needs nothing else: light and dark, readable on a phone, every text
escaped.
"""

from __future__ import annotations

from typing import Any

from vadbench.report.tables import layout
from vadbench.report.tables.table import Cell, PublishedRow, Table

TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ table.title }}</title>
<style>
:root { color-scheme: light dark; --back: #fff; --text: #1a1a1a; --faint: #595959; --line: #d0d0d0; --row: #f6f6f4; --link: #0b57a4 }
@media (prefers-color-scheme: dark) { :root { --back: #16181b; --text: #e8e8e6; --faint: #a9adb3; --line: #3b3f45; --row: #1e2125; --link: #8ab8f0 } }
body { margin: 1rem; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif }
a { color: var(--link) }
.vadbench-table .scroll { overflow-x: auto }
.vadbench-table table { border-collapse: collapse; border-bottom: 2px solid; font-variant-numeric: tabular-nums }
.vadbench-table caption { text-align: left; padding-bottom: .8rem }
.vadbench-table caption > * { position: sticky; left: 0; width: min(60rem, 100vw - 2rem); margin: 0 0 .4rem; overflow-wrap: anywhere }
.vadbench-table h1 { font-size: 1.25rem }
.vadbench-table th, .vadbench-table td { padding: .3rem .6rem; text-align: left; vertical-align: top; white-space: nowrap; background: var(--back) }
.vadbench-table thead th { vertical-align: bottom }
.vadbench-table thead tr:first-child > * { border-top: 2px solid var(--text) }
.vadbench-table thead tr:last-child > * { border-bottom: 1px solid var(--text) }
.vadbench-table thead th.metric { text-align: right; white-space: normal; min-width: 6rem }
.vadbench-table .dataset span, .vadbench-table .block span { position: sticky; left: .6rem }
.vadbench-table tbody th { font-weight: normal }
.vadbench-table tbody td { text-align: right }
.vadbench-table tbody tr:nth-child(even) > * { background: var(--row) }
.vadbench-table tbody + tbody tr:first-child > * { border-top: 1px solid var(--text) }
.vadbench-table tbody th.block { font-style: italic; background: var(--back) }
.vadbench-table .method { position: sticky; left: 0 }
.vadbench-table .features { max-width: 14rem; white-space: normal }
@media (max-width: 40rem) { .vadbench-table .method { max-width: 30vw; white-space: normal; overflow-wrap: break-word } }
.vadbench-table small { color: var(--faint); font-size: .85em }
.vadbench-table .line { display: block; line-height: 1.2 }
.vadbench-table .after { display: inline-block; min-width: {{ "4.2rem" if room == "spread" else "1.4rem" }}; text-align: left }
.vadbench-table abbr { text-decoration: none }
.vadbench-table sup { line-height: 0 }
.vadbench-table ol { max-width: 60rem; padding-left: 1.6rem; font-size: .9rem }
</style>
</head>
<body>
{% macro references(numbers) -%}
{% for number in numbers %}<sup><a href="#{{ slug }}-note-{{ number }}" aria-label="note {{ number }}">{{ number }}</a></sup>{% endfor %}
{%- endmacro %}
{% macro prose(text) -%}
{% for piece, code in code_spans(text) %}{% if code %}<code>{{ piece }}</code>{% else %}{{ piece }}{% endif %}{% endfor %}
{%- endmacro %}
{% macro heading(text) -%}
<tr><th class="block" scope="rowgroup" colspan="{{ table.columns|length + 2 }}"><span>{{ text }}</span></th></tr>
{%- endmacro %}
{% set tags = {"best": "strong", "second": "u"} %}
{% macro data(cell) -%}
{% set tag = tags.get(cell.mark) %}
<td>{% if tag %}<{{ tag }}>{{ cell.value }}</{{ tag }}>{% else %}{{ cell.value }}{% endif %}
{%- if room %} <span class="after">{% if cell.spread %}<small>{{ cell.spread }}</small> {% endif %}
{%- if cell.mark == "peer" %}<abbr title="the best, or not significantly different from it">≈</abbr>{% endif %}
{{- references(cell.notes) }}</span>{% endif %}
{%- for line in cell.lines %}<small class="line">{{ line }}</small>{% endfor %}</td>
{%- endmacro %}
<main class="vadbench-table" id="{{ slug }}">
<div class="scroll" role="region" tabindex="0" aria-labelledby="{{ slug }}-title">
<table>
<caption>
<h1 id="{{ slug }}-title">{{ table.title }}</h1>
<p>{{ prose(caption) }}</p>
</caption>
<thead>
{% if datasets|length > 1 %}
<tr><td colspan="2"></td>
{% for dataset, count in datasets %}<th class="dataset" scope="colgroup" colspan="{{ count }}"><span>{{ dataset }}</span></th>{% endfor %}</tr>
{% endif %}
<tr><th class="method" scope="col">method</th><th class="features" scope="col">features</th>
{% for column in table.columns %}<th class="metric" scope="col">{{ column.title }}</th>{% endfor %}</tr>
</thead>
<tbody>
{% if published %}{{ heading("Measured") }}{% endif %}
{% for row, cells in measured %}
<tr><th class="method" scope="row">{{ row.method }}</th><th class="features" scope="row">{{ row.features }}</th>
{% for cell in cells %}{{ data(cell) }}{% endfor %}</tr>
{% endfor %}
</tbody>
{% for source, rows in published %}
<tbody>
{{ heading("Published (" ~ source ~ ")") }}
{% for row, cells, numbers in rows %}
<tr><th class="method" scope="row">{{ row.method }}{{ references(numbers) }}</th><th class="features" scope="row">{{ row.features }}</th>
{% for cell in cells %}{{ data(cell) }}{% endfor %}</tr>
{% endfor %}
</tbody>
{% endfor %}
</table>
</div>
{% if notes %}
<ol>
{% for note in notes %}<li id="{{ slug }}-note-{{ loop.index }}">{{ prose(note) }}</li>
{% endfor %}
</ol>
{% endif %}
</main>
</body>
</html>
"""


def render(table: Table) -> str:
    """The table as an HTML page; its anchors begin with the title's slug, so that several tables
    can stand in one page.
    """
    from jinja2 import Environment, StrictUndefined

    notes = layout.footnotes(table)
    cells = [
        [_cell(cell, mark, notes) for cell, mark in zip(row.cells, of_row, strict=True)]
        for row, of_row in zip(table.rows, layout.marks(table), strict=True)
    ]
    page = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return page.from_string(TEMPLATE).render(
        table=table,
        slug=layout.slug(table.title),
        caption=f"{table.caption} {layout.legend(table)}".strip(),
        datasets=layout.datasets(table.columns),
        measured=list(zip(table.rows, cells, strict=True)),
        room=_room([cell for of_row in cells for cell in of_row]),
        published=[
            (source, [_reported(row, notes) for row in rows])
            for source, rows in layout.by_source(table).items()
        ],
        notes=notes,
        code_spans=layout.code_spans,
    )


def _cell(cell: Cell, mark: layout.Mark, notes: list[str]) -> dict[str, Any]:
    """A cell as the template shows it."""
    return {
        "value": layout.percent(cell.value),
        "spread": layout.spread(cell),
        "lines": [text for text in (layout.interval(cell), layout.delta(cell)) if text],
        "mark": mark,
        "notes": layout.numbers(notes, cell.notes),
    }


def _room(cells: list[dict[str, Any]]) -> str:
    """The longest thing that follows a number of the table: every number leaves room for it, so
    that they align.
    """
    if any(cell["spread"] for cell in cells):
        return "spread"
    return "mark" if any(cell["mark"] == "peer" or cell["notes"] for cell in cells) else ""


def _reported(
    row: PublishedRow, notes: list[str]
) -> tuple[PublishedRow, list[dict[str, Any]], list[int]]:
    """A paper's row, its figures as cells without marks, the numbers of its notes."""
    cells = [_cell(Cell(value), "", notes) for value in row.values]
    texts = [{"value": layout.reported(row, position)} for position in range(len(cells))]
    shown = [cell | text for cell, text in zip(cells, texts, strict=True)]
    return row, shown, layout.numbers(notes, row.notes)
