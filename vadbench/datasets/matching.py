"""Names of videos in two places, brought together: as spelt, else in the one spelling that leaves
no doubt.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_DIGITS = re.compile(r"\d+")
_SHOWN = 3  # names in a message


@dataclass(frozen=True)
class Matched:
    """What two lists of names have in common.

    Attributes:
        partner: name in `found` -> its name in `expected`.
        extra: names of `found` without a partner, in order.
        missing: names of `expected` without a partner, in order.
    """

    partner: dict[str, str]
    extra: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def lone(self) -> str:
        """What has no partner on either side, for a message; empty where all have one."""
        sides = (("found and not expected", self.extra), ("expected and not found", self.missing))
        return "; ".join(f"{what}: {_list(names)}" for what, names in sides if names)


def match_names(found: Iterable[str], expected: Iterable[str]) -> Matched:
    """Pair two lists of names, each name once.

    Names that are spelt alike are partners. Of the others, two are partners where they differ in
    nothing but Unicode's normal form, case and zeros before numbers (`1` and `01`), and no other
    name on either side is left that is spelt so.

    >>> match_names(["1", "02"], ["01", "02", "03"])
    Matched(partner={'02': '02', '1': '01'}, extra=(), missing=('03',))
    """
    there, wanted = list(dict.fromkeys(found)), list(dict.fromkeys(expected))
    partner = {name: name for name in there if name in set(wanted)}
    left = [name for name in there if name not in partner]
    open_ = [name for name in wanted if name not in partner]
    of_key = {spelling(name): name for name in open_}
    of_found = Counter(map(spelling, left))
    of_wanted = Counter(map(spelling, open_))
    for name in left:
        key = spelling(name)
        if of_found[key] == of_wanted[key] == 1:
            partner[name] = of_key[key]
    met = set(partner.values())
    extra = tuple(name for name in left if name not in partner)
    return Matched(partner, extra, tuple(name for name in open_ if name not in met))


def spelling(name: str) -> str:
    """The name in composed Unicode and lower case, its numbers without leading zeros."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return _DIGITS.sub(lambda digits: digits[0].lstrip("0") or "0", plain)


def _list(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} others" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
