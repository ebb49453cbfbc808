"""What is written cannot become what is run: the hostile corpus, rendered, in a real browser under the app's policy."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from assent.label import render

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HERE = "http://label.test/"
HOSTILE: list[dict[str, str]] = json.loads((Path(__file__).parent / "hostile.json").read_text())
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective));
"""


def visit(chromium: Any, body: str, policy: str) -> dict[str, Any]:
    """What a page with this body does: whether a script ran, what it asked for, what the policy had to stop."""
    context = chromium.new_context()
    requests: list[str] = []
    dialogs: list[str] = []

    def answer(route: Any) -> None:
        requests.append(route.request.url)
        page = f"<!doctype html><title>still</title><link rel=icon href=data:,><body>{body}</body>"
        if route.request.url == HERE:
            headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": policy}
            route.fulfill(status=200, headers=headers, body=page)
        else:
            route.abort()

    context.route("**/*", answer)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(HERE)
    for element in page.locator("a, b, details, input").all()[:60]:
        element.dispatch_event("pointerenter")
        element.dispatch_event("mouseover")
    page.wait_for_timeout(150)
    seen = {
        "ran": page.evaluate("() => window.ran === 1 || document.title !== 'still'"),
        "violations": page.evaluate("() => window.violations"),
        "elements": page.evaluate("() => [...document.querySelectorAll('body *')].map(e => e.localName)"),
        "requests": [url for url in requests if url != HERE],
        "dialogs": dialogs,
    }
    context.close()
    return seen


@pytest.mark.parametrize("show", [render.html, render.raw], ids=["markdown", "raw"])
def test_no_script_runs_and_nothing_is_asked_for(chromium: Any, show: Any) -> None:
    body = "\n".join(f"<article>{show(payload['text'])}</article>" for payload in HOSTILE)
    assert len(HOSTILE) >= 60
    for policy in (POLICY, "default-src * 'unsafe-inline' 'unsafe-eval' data: blob:"):
        seen = visit(chromium, body, policy)  # without the policy too: each of the two defences holds alone
        assert not seen["ran"]
        assert not seen["dialogs"]
        assert seen["requests"] == []
        assert seen["violations"] == []
        assert seen["elements"].count("article") == len(HOSTILE)
        assert not {"script", "img", "svg", "iframe", "style", "form", "base", "meta", "math"} & set(seen["elements"])


def test_the_watch_has_teeth(chromium: Any) -> None:
    body = "\n".join(f"<article>{payload['text']}</article>" for payload in HOSTILE[:12])
    seen = visit(chromium, body, "default-src * 'unsafe-inline'")
    assert seen["ran"]
    assert any("evil.example" in url for url in seen["requests"])
    assert visit(chromium, body, POLICY)["violations"]  # what would have run is stopped by the policy


TAG = re.compile(r"<[^>]*>")
ALLOWED = "p|br|hr|h[1-6]|strong|em|s|code|pre|blockquote|ul|ol|li|table|thead|tbody|tr|th|td|a|span|bdi"


@pytest.mark.parametrize("payload", HOSTILE, ids=lambda payload: payload["name"])
def test_only_allowed_tags_and_links_come_out(payload: dict[str, str]) -> None:
    for shown in (render.html(payload["text"]), render.raw(payload["text"])):
        for tag in TAG.findall(shown):
            assert re.fullmatch(rf"</?({ALLOWED})( [a-z]+=\"[^\"<>]*\")*>", tag), tag
            for name, value in re.findall(r' ([a-z]+)="([^"]*)"', tag):
                assert name in ("dir", "href", "target", "rel", "start", "class", "title", "align")
                assert name != "href" or value.startswith(("https://", "http://"))
        shown.encode()
        assert not any(ord(letter) in {0x202E, 0x202D, 0x2066, 0x2067, 0x200B, 0xFEFF} for letter in shown)


def letters(text: str) -> str:
    """Letters and digits alone, so that markup signs and white space do not count."""
    return "".join(letter for letter in text if letter.isalnum() and letter.isascii())


@pytest.mark.parametrize("payload", HOSTILE, ids=lambda payload: payload["name"])
def test_every_word_stays_visible(payload: dict[str, str]) -> None:
    text = payload["text"].encode(errors="replace").decode().replace("\0", "")
    raw = html.unescape(TAG.sub("", re.sub(r'<span class="mark".*?</span>', "", render.raw(text))))
    assert letters(raw) == letters(text)
    for tag in re.findall(r"<(\w+)", text):  # markup that somebody wrote is seen as markup, never deleted
        if "&lt;" not in text and not re.search(rf"\[.*<{tag}|^```|<{tag}:|<{tag}\s*\n", text):
            assert f"&lt;{tag}" in render.html(text), tag


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a *b*", '<p dir="auto">a <em>b</em></p>'),
        ("one\ntwo", '<p dir="auto">one<br>\ntwo</p>'),
        ("text\n====\nmore", '<p dir="auto">text<br>\n====<br>\nmore</p>'),
        ("[a]: https://a.example", '<p dir="auto">[a]: https://a.example</p>'),
        ("[x](/work)", '<p dir="auto">[x](/work)</p>'),
        ("~~no~~", '<p dir="auto"><s>no</s></p>'),
        (
            "```py\n<\n```",
            '<span class="language">py</span><pre dir="ltr"><code class="language-py">&lt;\n</code></pre>',
        ),
        ("a\u200bb", '<p dir="auto">a<span class="mark" title="U+200B zero width space">ZWSP</span>b</p>'),
        ("\u0645\u06cc\u200c\u062e\u0648", '<p dir="auto">\u0645\u06cc\u200c\u062e\u0648</p>'),
        ("\U0001f468\u200d\U0001f4bb \u2764\ufe0f", '<p dir="auto">\U0001f468\u200d\U0001f4bb \u2764\ufe0f</p>'),
        ("7. x", '<ol start="7">\n<li dir="auto">x</li>\n</ol>'),
    ],
)  # fmt: skip
def test_what_is_written_is_what_is_seen(text: str, shown: str) -> None:
    assert render.html(text).strip() == shown


def test_links_say_where_they_go_and_give_nothing_away() -> None:
    shown = render.html("[x](https://a.example/?q=1 'title')")
    assert 'href="https://a.example/?q=1"' in shown
    assert 'rel="noopener noreferrer nofollow ugc"' in shown


def test_long_and_deep_texts_are_shown_raw_and_whole() -> None:
    assert render.html("word " * 10_000) == render.raw("word " * 10_000)
    assert render.html(">" * 100 + " end") == render.raw(">" * 100 + " end")
