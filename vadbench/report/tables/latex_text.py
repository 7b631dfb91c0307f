r"""Any text as LaTeX that pdflatex compiles: ASCII only, every special character escaped."""

from __future__ import annotations

import re
import unicodedata

from vadbench.report.tables.layout import code_spans

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\`{}",
    "[": "{[}",  # after a line's \\ it would be an optional argument, as would *
    "*": "{*}",
}
MATHEMATICS = re.findall(
    r"(\S) (\S+)",
    r"""
    ± \pm  ≈ \approx  − -  × \times  · \cdot  ° ^\circ  ² ^2  ³ ^3
    ≤ \leq  ≥ \geq  ≠ \neq  ∞ \infty  √ \surd  ∈ \in  ∑ \sum  ∇ \nabla
    → \rightarrow  ← \leftarrow  ↔ \leftrightarrow  ↑ \uparrow  ↓ \downarrow
    µ \mu  • \bullet  § \S  † \dagger  ‡ \ddagger
    α \alpha  β \beta  γ \gamma  δ \delta  ε \epsilon  ζ \zeta  η \eta
    θ \theta  ι \iota  κ \kappa  λ \lambda  μ \mu  ν \nu  ξ \xi
    π \pi  ρ \rho  ς \varsigma  σ \sigma  τ \tau  υ \upsilon  φ \phi  χ \chi  ψ \psi  ω \omega
    Γ \Gamma  Δ \Delta  Θ \Theta  Λ \Lambda  Ξ \Xi  Π \Pi
    Σ \Sigma  Υ \Upsilon  Φ \Phi  Ψ \Psi  Ω \Omega
""",
)
LETTERS = re.findall(
    r"(\S) (\S+)",
    r"""
    – --  — ---  ‐ -  ‑ -  ‘ `  ’ '  “ ``  ” ''  … \ldots{}
    ß \ss{}  æ \ae{}  Æ \AE{}  œ \oe{}  Œ \OE{}  ø \o{}  Ø \O{}  ł \l{}  Ł \L{}  ı \i{}
""",
)
KNOWN: dict[str, str] = {
    **dict(LETTERS),
    **{character: f"${command}$" for character, command in MATHEMATICS},
}
LONG = 30  # characters of a word that would spoil the lines of a caption
ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327",
        "`'^~=u.\"rHvc",
        strict=True,
    )
)


def escape(text: str) -> str:
    """Plain text as LaTeX, on one line; a character that the standard fonts lack becomes its
    number, such as `U+4E2D`.

    Control characters are left out.
    """
    plain = unicodedata.normalize("NFC", re.sub(r"\s+", " ", text))
    once = re.sub(r"([-',])(?=\1)", "\\1\0", plain)  # -- would become a dash, '' a quotation mark
    return "".join("{}" if character == "\0" else _character(character) for character in once)


def prose(text: str) -> str:
    """Running text with code between backticks, the code in a typewriter face; long names may break
    after + and @.
    """
    return "".join(
        f"\\texttt{{{_breakable(piece)}}}" if code else _breakable(piece)
        for piece, code in code_spans(text)
    )


def _breakable(text: str) -> str:
    return re.sub(
        rf"\S{{{LONG},}}", lambda word: re.sub("([+@])", r"\1\\allowbreak{}", word[0]), escape(text)
    )


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if unicodedata.category(character).startswith("C"):
        return ""
    if character.isascii():
        return character
    if character in KNOWN:
        return KNOWN[character]
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"U+{ord(character):04X}"
