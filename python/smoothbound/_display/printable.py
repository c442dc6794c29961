"""Text from files, made harmless for the place that shows it: a terminal, Markdown or CSV.

Names of files, keys of checkpoints, settings and messages of models are written by others. They can
hold escape sequences, which a terminal obeys; links and images, which a viewer of Markdown follows;
and formulas, which a spreadsheet computes.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["file_stem", "markdown", "printable", "spreadsheet_cell"]

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # control, format, surrogate, private, separators
_MARKUP = re.compile(r"([\\`\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))")  # not the _ within a word
_LINK = re.compile(r"(?i)(?<=[a-z]):(?=//)|(?<=www)\.")  # a viewer makes links of these by itself
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')  # of files, on some operating system
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: object, keep: str = "") -> str:
    r"""Write characters that cannot be seen as escapes, so that no terminal obeys them.

    Parameters
    ----------
    text : object
        A str, or any object; its `str` is shown.
    keep : str
        Characters to leave as they are, such as ``"\n"`` in a message of several lines.

    Returns
    -------
    str
        Without control characters, marks of direction or invisible characters.

    Examples
    --------
    >>> print(printable("layer\x1b[2J\n\u202eweight"))
    layer\x1b[2J\n\u202eweight
    >>> printable("σ = 0.25")
    'σ = 0.25'
    """
    return "".join(
        _escaped(character)
        if unicodedata.category(character) in _UNSEEN and character not in keep
        else character
        for character in str(text)
    )


def _escaped(character: str) -> str:
    """Write a character as Python does: a surrogate that stands for a byte as that byte."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def markdown(text: object) -> str:
    r"""Keep Markdown from reading a text, such as the name of a folder, as code, link or image.

    Emphasis by asterisks is left, because it does no harm.

    Examples
    --------
    >>> print(markdown("a|b <i> [x](javascript:1) https://x.org **bold**"))
    a\|b &lt;i> \[x\](javascript:1) https\://x.org **bold**
    """
    plain = _MARKUP.sub(r"\\\1", printable(text)).replace("&", "&amp;").replace("<", "&lt;")
    return _LINK.sub(r"\\\g<0>", plain)


def file_stem(name: str) -> str:
    r"""Make a name one that every file system takes.

    Examples
    --------
    >>> file_stem("a/b: <c>\\x1b")
    'a_b_ _c__x1b'
    """
    return _NOT_IN_NAMES.sub("_", name)


def spreadsheet_cell(value: object) -> object:
    r"""Keep a spreadsheet from computing a text; numbers stay as they are.

    Examples
    --------
    >>> spreadsheet_cell('=HYPERLINK("x")'), spreadsheet_cell("digits"), spreadsheet_cell(-0.5)
    ('\'=HYPERLINK("x")', 'digits', -0.5)
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if value.startswith(_FORMULA) else text
