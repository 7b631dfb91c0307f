"""Generated blocks of pages: what stands between `<!-- NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re


def with_block(page: str, name: str, text: str) -> str:
    """The page with the block of a name (`measured: ped2`, `settled`) replaced."""
    marked = re.compile(f"(<!-- {name} -->\n).*?(\n?<!-- end -->)", re.DOTALL)
    return marked.sub(lambda block: f"{block[1]}{text}\n<!-- end -->", page)


def block_of(page: str, name: str) -> str:
    """What stands in the block of a name; empty where there is none."""
    return page.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]
