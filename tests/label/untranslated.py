"""Finding words that a page or a script shows and no catalogue knows: what the tests of the languages look with."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import jinja2
from babel.messages.jslexer import tokenize
from jinja2 import nodes

SHOWN = ("aria-label", "title", "placeholder", "alt", "data-confirm")  # attributes that somebody reads or hears
NAMES = {"Assent", "UTC", "JSONL", "Markdown", "p", "ABCDEFGHIJKL"}  # the same in every language
_WORD = re.compile(r"[^\W\d_]{2,}")


class Shown(HTMLParser):
    """Collects what stands on a page: texts, and attributes that are shown; not what is a key, code or a script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("kbd", "code", "pre", "svg", "script", "style"):
            self.within.append(tag)
        self.found += [value for name, value in attrs if name in SHOWN and value]

    def handle_endtag(self, tag: str) -> None:
        if self.within and self.within[-1] == tag:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        if not self.within and data.strip():
            self.found.append(data.strip())


def shown(page: str) -> list[str]:
    parser = Shown()
    parser.feed(page)
    return parser.found


def words(texts: list[str]) -> list[str]:
    """Those texts that have a word of a language in them."""
    return [text for text in texts if set(_WORD.findall(text)) - NAMES]


def in_template(source: str) -> list[str]:
    """Words that a template shows without asking a catalogue: its own text, and literals in its expressions."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"])
    return words(shown("".join(_texts(environment.parse(source)))))


def _texts(node: nodes.Node) -> Iterator[str]:
    """What a template may put out, branch after branch; what is looked up, called or filtered is not known here."""
    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Const):
        yield node.value if isinstance(node.value, str) else ""
    elif isinstance(node, nodes.Compare | nodes.Call | nodes.Filter | nodes.Test | nodes.FromImport | nodes.Extends):
        return
    elif isinstance(node, nodes.Getitem):
        yield from _texts(node.node)  # a table of words, and which one is meant
    elif isinstance(node, nodes.Pair):
        yield from _texts(node.value)
    elif isinstance(node, nodes.If | nodes.CondExpr):
        test = node.test
        yield from (text for child in node.iter_child_nodes() if child is not test for text in _texts(child))
    elif isinstance(node, nodes.For):
        yield from (text for child in [*node.body, *node.else_] for text in _texts(child))
    elif isinstance(node, nodes.Assign):
        return
    elif isinstance(node, nodes.Block) and node.name == "body":  # stands in a tag of the base
        yield f"<body{''.join(text for child in node.body for text in _texts(child))}>"
    else:
        yield from (text for child in node.iter_child_nodes() for text in _texts(child))


# -- scripts ---------------------------------------------------------------------------------------------------------

_CALL = ("gettext", "ngettext")
_KEYS = {"Enter", "Escape", "ArrowLeft", "ArrowRight", "Content-Type", "Retry-After", "Accept"}  # of keyboard and HTTP
_METHODS = {"GET", "PUT", "POST", "DELETE"}
_CODE = re.compile(r"[\[\]<>=/#{}]|^[.:]|^[a-z-]+( [a-z-]+)?$|, \.|^\w+, \w+$|-\w+\(|^U\+|: \w+\(|:not\(")


def in_script(source: str) -> list[str]:
    """Literals of a script that read like something to be shown and are not asked of a catalogue."""
    tokens = [token for token in tokenize(source) if token.type not in ("linecomment", "multilinecomment")]
    found: list[str] = []
    depth = 0  # of brackets within a call that asks a catalogue
    for place, token in enumerate(tokens):
        if token.value == "(":
            depth += 1 if depth or (place and tokens[place - 1].value in _CALL) else 0
        elif token.value == ")":
            depth -= 1 if depth else 0
        elif token.type in ("string", "template_string") and not depth:
            found.append(_plain(token.value))
    return [text for text in found if _reads(text)]


def _plain(literal: str) -> str:
    return re.sub(r"\\u\{?[0-9a-fA-F]+\}?|\\n", "", re.sub(r"\$\{[^}]*\}", "", literal[1:-1]))


def _reads(text: str) -> bool:
    if text in _KEYS | _METHODS or not _WORD.search(text):
        return False
    return bool(re.search(r"[A-Z][a-z]|[a-z] [a-z]|…", text)) and not _CODE.search(text)
