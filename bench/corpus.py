"""English prose that every machine with Python has: the docstrings and help topics of the standard library.

Lines that look like code, tables or names are left out. A function of the Python version alone.
"""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SKIPPED = {"site-packages", "test", "tests", "idlelib", "lib2to3"}


def prose() -> str:
    """All of it, one line a line, each line once."""
    seen: dict[str, None] = {}
    for text in _docstrings(Path(sysconfig.get_paths()["stdlib"])):
        for line in map(str.strip, text.splitlines()):
            if len(line) >= 30 and line.isascii() and _wordy(line):
                seen[line] = None
    return "\n".join(seen)


def _wordy(line: str) -> bool:
    return line[0].isalpha() and len(re.findall(r"[A-Za-z ]", line)) > 0.85 * len(line)


def _docstrings(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*.py")):
        if SKIPPED & set(path.relative_to(root).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue  # samples of other encodings and of broken code lie in the library as well
        if path.name == "topics.py":  # the texts of help(), as one dictionary of strings
            yield from (node.value for node in ast.walk(tree) if _is_text(node))
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield ast.get_docstring(node) or ""


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 200
