"""Hostile text to safe HTML: what a person or a model wrote, shown whole, and never run.

Markdown is read with HTML off, so a tag that somebody wrote is seen as a tag: a labeler must judge the text that is
there. Nothing is fetched (no images), links are absolute http(s) and say so, and characters that cannot be seen or that
turn the line around become visible marks. nh3 goes over the result last, with an allow list of our own. The content
security policy of the app stands behind all of this.
"""

import html as escaping
import re
import unicodedata
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

LONGEST = 40_000  # characters; a longer text is shown raw, whole
DEEPEST = 40  # levels of lists and quotations; a deeper text is shown raw, whole

_TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "strong", "em", "s", "code", "a", "span", "bdi"),
}
_BLOCKS = ("paragraph_open", "heading_open", "list_item_open", "blockquote_open", "th_open", "td_open")
_INFO = re.compile(r"[\w+#.-]{1,20}", re.ASCII)
# Format characters that are drawn: Arabic, Syriac and Kaithi number signs
_DRAWN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
# Characters that Unicode calls letters or marks and that draw nothing
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_SHORT = {
    "\u00ad": "SHY", "\u200b": "ZWSP", "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM",
    "\u061c": "ALM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
    "\u2060": "WJ", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
}  # fmt: skip


@lru_cache(maxsize=4096)  # every labeler of an item asks for the same texts
def html(text: str) -> str:
    """The text as Markdown, safe to put into a page; a text too long or too deep for Markdown comes out raw.

    A line break is a line break, as whoever judges the text must see it.
    """
    return _rendered(text, _reader(breaks=True))


@lru_cache(maxsize=64)
def prose(text: str) -> str:
    """A text that was written for these pages, such as guidelines: lines run on into paragraphs; else like `html`."""
    return _rendered(text, _reader(breaks=False))


def _rendered(text: str, reader: Any) -> str:
    text = _whole(text)
    if len(text) > LONGEST:
        return raw(text)
    tokens = reader.parse(text)
    if any(token.level >= DEEPEST for token in tokens):
        return raw(text)  # the reader leaves out what lies deeper
    for token in tokens:
        if token.type in _BLOCKS:
            token.attrSet("dir", "auto")
    return _clean(marked(reader.renderer.render(tokens, reader.options, {})))


def raw(text: str) -> str:
    """The text letter by letter, line by line, each line with a direction of its own."""
    lines = _whole(text).split("\n")
    return _clean('<pre class="raw">' + "\n".join(f'<bdi dir="auto">{_shown(line)}</bdi>' for line in lines) + "</pre>")


def marked(safe: str) -> str:
    """HTML in which every invisible character of a text has become a mark that names it.

    Works on finished HTML: attributes are ours or percent-encoded, so what is invisible stands in text.
    """
    return "".join(_mark(safe, place) if _invisible(safe, place) else character for place, character in enumerate(safe))


def _whole(text: str) -> str:
    """The text without what no page can carry: half a surrogate pair is shown as the replacement character."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


def _shown(line: str) -> str:
    return marked(escaping.escape(line))


def _mark(text: str, place: int) -> str:
    character = text[place]
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "control character")
    return f'<span class="mark" title="{code} {name.lower()}">{_SHORT.get(character, code)}</span>'


def _invisible(text: str, place: int) -> bool:
    """Whether the character draws nothing or turns the line around; joiners that a script needs pass."""
    character = text[place]
    if " " <= character <= "~" or character in "\n\t":
        return False
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if character in "\u200c\u200d":
        return not (_joins(before) and _joins(after))
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return not before or unicodedata.category(before) not in ("So", "Sm", "Sk", "Nd", "Po", "Lo")
    if character in _DRAWN:
        return False
    return character in _BLANK or unicodedata.category(character) in ("Cc", "Cf", "Co", "Zl", "Zp")


def _joins(character: str) -> bool:
    """Whether a joiner beside this character is part of ordinary writing: emoji, Arabic, the scripts of India."""
    if not character:
        return False
    if unicodedata.bidirectional(character) == "AL" or "\u0900" <= character <= "\u0dff":
        return True
    return unicodedata.category(character) in ("So", "Sk") or character in "\ufe0f\u2640\u2642"


def _absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


@cache
def _reader(breaks: bool) -> Any:
    """Markdown as labelers see it.

    Off: HTML; images (the link stays, with its exclamation mark); link definitions and underlined headings, which would
    swallow lines of the text. A link that is not absolute http(s) stays text.
    """
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "breaks": breaks, "maxNesting": DEEPEST + 2})
    reader.enable(["table", "strikethrough"]).disable(["image", "reference", "lheading", "html_block", "html_inline"])
    reader.validateLink = _absolute
    reader.add_render_rule("fence", _fence)
    reader.add_render_rule("link_open", _link)
    return reader


def _fence(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    info = _INFO.match(tokens[index].info.strip())
    words = escaping.escape(tokens[index].info.strip())
    label = f'<span class="language">{words}</span>' if words else ""
    kind = f' class="language-{info[0]}"' if info else ""
    return f'{label}<pre dir="ltr"><code{kind}>{escaping.escape(tokens[index].content)}</code></pre>\n'


def _link(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    href = escaping.escape(str(tokens[index].attrs["href"]))
    return f'<a href="{href}" target="_blank">'


def _clean(unsafe: str) -> str:
    import nh3

    return nh3.clean(
        unsafe,
        tags=_TAGS,
        clean_content_tags=set(),
        attributes={
            "*": {"dir"},
            "a": {"href", "target"},
            "ol": {"start"},
            "span": {"class", "title"},
            "code": {"class"},
            "pre": {"class"},
            "th": {"align"},
            "td": {"align"},
        },
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow ugc",
        strip_comments=True,
    )
