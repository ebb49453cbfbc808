"""Cells of CSV files that people open in spreadsheets."""

from typing import Any


def inert(value: Any) -> Any:
    """The value, or, where a spreadsheet would calculate a text, the text behind an apostrophe.

    Names of runs, models and policies come from elsewhere; one that begins with =, +, -, @ or a control character is a
    formula to a spreadsheet, and a formula may fetch and send.
    """
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return value
    try:
        float(value)
    except ValueError:
        return "'" + value
    return value
