"""Which columns of a table are features: those that are asked for, else all, none of which may be a
label or an index.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from vadbench.errors import BadInput


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# words that name what no method may see, wherever they stand in a name
TELLING = _words(
    "label labels labelled labeled lbl gt gts truth groundtruth anomaly anomalies anomalous anom "
    "abnormal abnormality annotation annotations annotated annot target targets category "
    "categories id ids uid guid uuid unnamed"
)
# words that do where a name is made of nothing but these and QUALIFIERS: `class` and
# `frame_number`, not `class_token`, `frame_difference` or `y_1`
ALONE = _words(
    "y class classes cls normal inlier inliers outlier outliers event events crime "
    "split splits fold folds subset partition train test training testing validation "
    "index indices idx row rows sample samples time times timestamp date datetime "
    "frame frames scene scenes camera cameras cam location sequence seq "
    "video videos clip clips file path image img person pedestrian ped object obj track tracklet "
    "score scores pred preds prediction predictions predicted name names"
)
# words that an array of one number a frame may bear, which is a method's score then
SCORES = _words("score scores pred preds prediction predictions")
QUALIFIERS = _words(
    "is has the of true hat no nr num number level code stamp ms sec seconds value type cv"
)
WORDS = sorted(TELLING | ALONE | QUALIFIERS, key=len, reverse=True)
KEYS = ("video", "frame")
COMPOUND = re.compile(f"(?:{'|'.join(WORDS)})+")  # `isanomaly`, `trackid`, `framenumber`
CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
COUNTED = re.compile(r"level_\d+")  # what pandas calls an index without a name


def is_telling(name: str) -> bool:
    """Whether a column's name is that of a label, a split, a score, an index or an identity, in any
    case and spelling.

    >>> [is_telling(name) for name in ("isAbnormal", "Person_ID", "GroundTruth", "Unnamed: 0", "y")]
    [True, True, True, True, True]
    >>> [is_telling(name) for name in ("f0", "y_1", "cls_12", "norm", "left_index", "speed")]
    [False, False, False, False, False, False]
    """
    plain = unicodedata.normalize("NFKC", name).strip()
    words = re.findall(r"[a-z]+", plain.casefold())
    camel = _camel(plain)
    if (
        not plain
        or COUNTED.fullmatch(plain)
        or "__index_level" in plain
        or TELLING & {*words, *camel}
    ):
        return True
    parts = {word: _parts(word) for word in words}
    if any(TELLING & set(of_word) for of_word in parts.values()):
        return True
    heads = any(ALONE & set(of_word) for of_word in parts.values())
    return heads and all(parts.values()) and not re.search(r"\d", plain)


def _camel(name: str) -> list[str]:
    return [word.casefold() for word in CAMEL.findall(name)]


def choose_columns(
    names: Sequence[str], asked: Sequence[str], taken: Iterable[str], path: Path
) -> list[str]:
    """The names of the feature columns.

    Args:
        names: the file's columns.
        asked: names, taken as they are, and patterns such as `f*`; none: all columns.
        taken: names with a meaning of their own, which no pattern takes.
        path: for messages.

    Raises:
        BadInput: naming a column that looks like a label or an index, or what is asked for and not
            there.
    """
    free = [name for name in names if name not in set(taken)]
    if not asked:
        _refuse_telling(free, names, path)
        return free
    chosen: list[str] = []
    for pattern in asked:
        if pattern in KEYS:
            raise BadInput(
                f"{path}: --columns {pattern}: says where a row belongs and is no feature; leave"
                " it out"
            )
        exact = pattern in names
        met = [pattern] if exact else [name for name in free if fnmatchcase(name, pattern)]
        if not met:
            raise BadInput(
                f"{path}: --columns {pattern}: no such column of features; found"
                f" {', '.join(names[:12]) or 'none'}"
            )
        if not exact:
            _refuse_telling(met, names, path)
        chosen += [name for name in met if name not in chosen]
    return chosen


def refuse_telling(name: str, path: Path, scores: bool = False) -> None:
    """Refuse an array of features whose name is a label's or an index's.

    Args:
        name: the array's.
        path: for messages.
        scores: whether it holds one number a frame, whose name may say that it is a score.

    Raises:
        BadInput: naming it.
    """
    if scores and SCORES & {*_camel(name), *re.findall(r"[a-z]+", name.casefold())}:
        return
    if is_telling(name):
        raise BadInput(
            f"{path}: array {name!r} is no feature by its name (a label, an index, an identity);"
            " expected the features, named x"
        )


def _refuse_telling(columns: Sequence[str], names: Sequence[str], path: Path) -> None:
    known = set(names)
    wrong = next((name for name in columns if is_telling(_first(name, known))), None)
    if wrong is not None:
        told = (
            f"{path}: column {wrong!r} is no feature by its name (a label, an index, an identity)"
        )
        raise BadInput(
            f"{told}; leave it out of the file, or name the features: --columns 'f*' or --columns"
            " speed,height"
        )


def _first(name: str, known: set[str]) -> str:
    """The name without the .1 that pandas gives a second column of one name."""
    original = re.sub(r"\.\d+$", "", name)
    return original if original in known else name


def _parts(word: str) -> list[str]:
    """The known words that a word is put together from; none where it is not."""
    if not COMPOUND.fullmatch(word):
        return []
    for known in WORDS:
        rest = word.removesuffix(known)
        if rest != word and (not rest or (found := _parts(rest))):
            return [known] if not rest else [*found, known]
    return []
