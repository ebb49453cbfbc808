"""The languages of the screens: catalogues are whole, the right one is chosen, nothing is translated that is kept."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from scripts import catalogues
from sqlalchemy import select

from assent import records, statistics
from assent.label import accounts, languages, pages, schema, screening, survey, throttling
from assent.label.languages import CatalogueError
from assent.label.pages import log, quality
from assent.label.phrases import Phrase, phrase, several
from assent.label.store import exporting, said, tables
from assent.label.store.tables import audit, person
from assent.label.store.tables import survey as surveys
from tests.label import kit
from tests.label.untranslated import in_script, in_template, shown, words
from tests.label.web import PASSWORD, SECRET, Site

LABEL = Path(languages.__file__).parent
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
TAGS = [path.stem for path in sorted(languages.CATALOGUES.glob("*.po"))]


# -- catalogues ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source() -> Catalog:
    return catalogues.extracted()


def test_there_is_german() -> None:
    assert "de" in TAGS
    assert languages.tags()[0] == "en"


@pytest.mark.parametrize("tag", TAGS)
def test_a_catalogue_says_everything_and_nothing_else(tag: str, source: Catalog) -> None:
    """After a change: `python -m scripts.catalogues`, and fill in what it leaves empty."""
    found = languages.read(languages.CATALOGUES / f"{tag}.po")
    known = {(one.context, str(one.id)) for one in found if one.id}
    wanted = {(one.context, str(one.id)) for one in source if one.id}
    assert wanted - known == set()
    assert known - wanted == set()
    for one in found:
        if one.id:
            assert not one.fuzzy, one.id
            assert len(languages.forms(one.string)) == (found.num_plurals if one.pluralizable else 1), one.id
            assert all(languages.forms(one.string)), one.id


@pytest.mark.parametrize("tag", TAGS)
def test_a_translation_puts_in_all_that_the_original_does(tag: str) -> None:
    name = re.compile(r"%\(\w+\)s")
    for one in languages.read(languages.CATALOGUES / f"{tag}.po"):
        texts = languages.forms(one.string) if one.id else [""]
        assert set(name.findall(texts[-1])) == set(name.findall(languages.forms(one.id)[-1])) or not one.id, one.id
        for text in texts[:-1]:  # a form for one thing may say "a" or "one"
            assert set(name.findall(texts[-1])) - set(name.findall(text)) <= {"%(count)s", "%(pairs)s"}, one.id


@pytest.mark.parametrize(
    ("original", "translation", "told"),
    [
        ("%(count)s tasks", "%(cuont)s Aufgaben", "cuont"),
        ("%(share)s or more", "%(share)s % oder mehr", "lone %"),
        ("%(share)s or more", "%(share)d oder mehr", "lone %"),
        ("Hello", "Hallo <img src=x onerror=alert(1)>", "elements"),
        ("<b>Hello</b>", "Hallo", "elements"),
        ('<a href="/survey">A survey</a>', '<a href="https://evil.example">Eine Umfrage</a>', "elements"),
        ("Hello", 'Hal"lo', "outside of an element"),
    ],
)
def test_a_catalogue_at_fault_keeps_the_server_from_starting(
    original: str, translation: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    made = Catalog(locale="de")
    made.add(original, translation)
    add(monkeypatch, tmp_path, "de", made)
    with pytest.raises(CatalogueError, match=re.escape(told)):
        Site.at(folder)


def test_a_file_that_is_no_catalogue_is_told(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text("this is no catalogue\n")
    with pytest.raises(CatalogueError, match=r"de\.po"):
        languages.read(tmp_path / "de.po")


def test_collecting_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "de.po").write_bytes((languages.CATALOGUES / "de.po").read_bytes())
    monkeypatch.setattr(languages, "CATALOGUES", tmp_path)
    catalogues.main([])
    before = (tmp_path / "de.po").read_bytes()
    assert before.count(b"Abgeben") >= 1
    catalogues.main([])
    assert (tmp_path / "de.po").read_bytes() == before
    catalogues.main(["pt-BR"])
    begun = (tmp_path / "pt-BR.po").read_text()
    assert begun.count('msgid "Submit"\nmsgstr ""') == 1


# -- nothing is forgotten --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.name for path in (LABEL / "templates").glob("*.j2")))
def test_a_template_shows_no_word_past_the_catalogues(name: str) -> None:
    assert in_template((LABEL / "templates" / name).read_text()) == []


@pytest.mark.parametrize("name", sorted(path.name for path in (LABEL / "static").glob("*.js")))
def test_a_script_shows_no_word_past_the_catalogues(name: str) -> None:
    assert in_script((LABEL / "static" / name).read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Go on</p>",
        '<button aria-label="Undo">{{ glyph("undo") }}</button>',
        '<form data-confirm="Freeze it?">',
        '{{ "Change it" if topics else _("Send") }}',
        '{{ {"a": "ranked", "b": _("written")}[state] }}',
        '{% if x %}{{ _("Yes") }}{% else %}no{% endif %}',
        "{% for one in rows %}{{ one }} items{% endfor %}",
        "{% macro part() %}<legend>Why</legend>{% endmacro %}",
        "{% trans %}Said.{% endtrans %} Unsaid.",
    ],
)
def test_the_search_in_templates_has_teeth(source: str) -> None:
    assert in_template(source)


@pytest.mark.parametrize(
    "source",
    [
        'byId("x").textContent = "Saved";',
        "tell(`Output ${letter} stands here`);",
        'show("saved", "kept on this device");',
        'const label = held ? gettext("Put it here") : "Put it there";',
        'gettext("Said"); tell("Not said");',
    ],
)
def test_the_search_in_scripts_has_teeth(source: str) -> None:
    assert in_script(source)


def add(monkeypatch: pytest.MonkeyPatch, directory: Path, tag: str, made: Catalog) -> None:
    """Another language, for one test."""
    with (directory / f"{tag}.po").open("wb") as file:
        write_po(file, made)
    monkeypatch.setattr(languages, "CATALOGUES", directory)
    for one in (languages.tags, languages.language, pages._environment):  # pyright: ignore[reportPrivateUsage]
        one.cache_clear()


@pytest.fixture
def bracketed(source: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A language in which everything that was translated stands in brackets, from right to left."""
    made = Catalog(locale="ar")
    for one in source:
        if one.id:
            ids = languages.forms(one.id)
            texts = [f"⟦{ids[-1]}⟧"] * made.num_plurals if one.pluralizable else f"⟦{ids[0]}⟧"
            made.add(one.id, tuple(texts) if isinstance(texts, list) else texts, context=one.context)
    add(monkeypatch, tmp_path, "ar", made)
    yield "ar"
    monkeypatch.undo()
    for each in (languages.tags, languages.language, pages._environment):  # pyright: ignore[reportPrivateUsage]
        each.cache_clear()


def past(html: str, *content: str) -> list[str]:
    """Words on a page that stand in no brackets; content: texts of people, and names."""
    text = "\n".join(shown(re.sub(r"</?(?:bdi|strong|kbd|a|b|code)\b[^>]*>", "", html)))
    text = re.sub(r"⟦[^⟦⟧]*(?:⟦[^⟦⟧]*⟧[^⟦⟧]*)*⟧", "", text)
    text = re.sub(r"[\u0600-\u06ff]+", "", text)  # names of months
    for one in (*content, "English"):
        text = text.replace(one, "")
    return words(text.split("\n"))


def test_every_word_that_a_labeler_reads_comes_from_a_catalogue(bracketed: str, site: Site) -> None:
    kit.batch(site.database, kit.items(2, 1))
    client = site.person("labeler", "Mira")
    content = [f"Question {n}?" for n in range(2)] + [f"Answer {k} to {n}" for k in range(4) for n in range(2)]
    client.headers.update({"Accept-Language": bracketed})
    task = client.post("/work/claim", json={}).json()["task"]
    paths = ["/tasks", f"/task/{task['slot']}", "/account", "/survey", "/screening", "/history", "/nowhere", "/lead"]
    for path in paths:
        answer = client.get(path)
        assert '<html lang="ar" dir="rtl"' in answer.text, path
        assert past(answer.text, *content, "Mira") == [], path
    for path in ("/sign-in", "/sign-in?told=out", "/sign-in?told=password", f"/invite/{site.invite('lead')}"):
        answer = site.client(**{"Accept-Language": bracketed}).get(path)
        assert past(answer.text) == [], path


def test_reasons_of_the_statistics_are_known_word_for_word() -> None:
    sources = "".join(path.read_text() for path in Path(statistics.__file__).parent.glob("*.py"))
    assert [one for one in quality.STATED if one not in sources] == []


def test_every_word_that_a_lead_reads_comes_from_a_catalogue(bracketed: str, site: Site) -> None:
    kit.batch(site.database, kit.items(2, 2))
    for name in ("mira", "aiko"):
        one = site.person("labeler", name)
        task = one.post("/work/claim", json={}).json()["task"]
        document = kit.ranking([each["key"] for each in task["responses"]])
        one.post(f"/work/{task['slot']}/submit", json={"key": "k" * 20, "document": document})
    next_task = one.post("/work/claim", json={}).json()["task"]
    one.post(f"/work/{next_task['slot']}/skip", json={"key": "j" * 20, "reason": "personal_data"})
    candidate = site.database.transact(lambda connection: proposed(connection))
    content = [f"Question {n}?" for n in range(2)] + [f"Answer {k} to {n}" for k in range(4) for n in range(2)]
    content += ["ines", "omar", "mira", "aiko", "first", "g1", "Be helpful, truthful, harmless."]
    content += [*exporting.FILES, "manifest.json"]
    lead, admin = site.person("lead", "ines"), site.person("admin", "omar")
    for path in (
        *("", "/batches/new", "/batches/first", "/batches/first/quality", "/batches/first/models", "/adjudication"),
        *("/items/1", "/candidates", f"/candidates/{candidate}", "/guidelines", "/survey"),
    ):
        answer = lead.get("/lead" + path, headers={"Accept-Language": bracketed})
        assert answer.status_code == 200, path
        assert past(answer.text, *content, candidate[:6]) == [], path
    for path in ("/admin", "/admin/keys", "/admin/webhooks", "/admin/audit"):
        answer = admin.get(path, headers={"Accept-Language": bracketed})
        text = re.sub(r"<code.*?</code>", "", answer.text)  # details of the log as they are kept, and its hash
        assert past(text, *content, candidate) == [], path


def proposed(connection: Any) -> str:
    """A candidate's code."""
    number = connection.execute(select(person.c.id).where(person.c.name == "mira")).scalar_one()
    screening.propose(connection, number, number)
    return connection.execute(select(tables.screening.c.candidate)).scalar_one()


@pytest.mark.parametrize("kind", ["labeler", "lead", "researcher", "admin"])
def test_every_role_has_its_pages_in_german(site: Site, kind: str) -> None:
    client = site.person(kind, "Somebody")
    client.headers.update(GERMAN)
    for path in ("/tasks", "/lead", "/lead/adjudication", "/admin", "/admin/audit", "/guidelines"):
        answer = client.get(path)
        assert '<html lang="de" dir="ltr"' in answer.text, path
        assert ">Abmelden<" in answer.text, path
        assert "Sign out" not in answer.text, path


def raised(path: Path) -> list[str]:
    """What a module says when it raises ValueError, with something made up for what varies."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        error = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(error, ast.Call) and ast.unparse(error.func) == "ValueError":
            told = error.args[0]
            if isinstance(told, ast.Constant):
                found.append(str(told.value))
            elif isinstance(told, ast.JoinedStr):
                texts = [str(one.value) if isinstance(one, ast.Constant) else "x3" for one in told.values]
                found.append("".join(texts))
    return found


def test_every_sentence_about_a_line_or_a_plan_is_known() -> None:
    """Of records, plans and practice; and of JSON as Python reads it."""
    ours = (LABEL / name for name in ("planning.py", "store/importing.py", "store/meant.py"))
    told = [one for path in (Path(records.__file__), *ours) for one in raised(path)]
    assert len(told) > 45
    assert [one for one in told if not isinstance(said.known(ValueError(one)), Phrase)] == []
    for text in ("{", "[1 2]", '{"a" 1}', '{"a": 1} x', '"abc', "nothing", "{1: 2}"):
        with pytest.raises(ValueError, match="char") as error:
            json.loads(text)
        assert isinstance(said.known(error.value), Phrase), error.value
    german = languages.language("de")
    one = said.known(ValueError("prompt.messages: empty; a prompt needs at least one message"))
    assert one == "prompt.messages: empty; a prompt needs at least one message"
    assert german.said(one) == "prompt.messages: leer; eine Anfrage braucht mindestens eine Nachricht"
    assert said.known(ValueError("what nobody foresaw")) == "what nobody foresaw"


def test_every_word_of_the_log_is_known() -> None:
    """Whoever writes a new deed or kind of thing into the log adds it to `pages.log`."""
    calls = [
        node
        for path in LABEL.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.append"
    ]
    assert len(calls) >= 20
    deeds = {one.value for call in calls for one in ast.walk(call.args[2]) if isinstance(one, ast.Constant)}
    deeds |= {"parked", "quarantined"}  # a variable
    assert {one for one in deeds if isinstance(one, str)} == set(log.DEEDS)
    kinds = {ast.unparse(call.args[3]).strip("f'\"").partition("{")[0].strip() for call in calls}
    assert kinds == {*log.THINGS, "a", "own password", "a code of an authenticator"}
    assert {f"a {role}" for role in accounts.ROLES} <= set(log.WHOLE)
    german = languages.language("de")
    assert german.said(log.thing("batch a b")) == "Paket a b"
    assert log.thing("something else") == "something else"
    assert german.said(log.broken("entry 4 of the audit log is missing")) == "Eintrag 4 des Protokolls fehlt"


def test_an_import_is_refused_in_german(site: Site) -> None:
    """Down to the file and the line; programs are told the same in English."""
    kit.batch(site.database, kit.items(1, 1))
    lead = site.person("lead", "ines")
    lead.headers.update(GERMAN)
    form = {"name": "small", "guideline": "g1"}
    prompt = {"kind": "prompt", "schema": 1, "id": "a", "messages": []}
    for lines, told in (
        (json.dumps(prompt), "messages: leer; eine Anfrage braucht mindestens eine"),
        ("nothing", "ein Wert wird erwartet: Zeile 1, Spalte 1"),
    ):
        answer = lead.post("/lead/batches/new", data=form, files={"files": ("rows.jsonl", lines.encode())})
        assert answer.status_code == 422
        assert f"Rows.jsonl, Zeile 1: {told}" in answer.text
        assert "Nichts wurde importiert." in answer.text
    assert "Es gibt kein Paket &#39;none&#39;." in lead.get("/lead/batches/none").text
    program = site.key("status")
    program.headers.update(GERMAN)
    assert program.get("/api/v1/batches/none").json()["detail"] == "there is no batch 'none'"


def test_who_asked_for_a_page_is_refused_on_a_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused before anybody is asked who they are: another site, too large, a fault of ours."""
    client = site.person("labeler", "mira")
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", **GERMAN}
    elsewhere = client.post("/account/language", headers={**browser, "Origin": "https://evil.example"})
    large = client.post("/account/language", headers=browser, content=b"x" * 2_000_001)
    monkeypatch.setattr(accounts, "choose_language", lambda *_: 1 / 0)
    fault = client.post("/account/language", headers=browser, data={"language": "de"})
    for answer, status, told in (
        (elsewhere, 403, "von einer anderen Website."),
        (large, 413, "Bytes."),
        (fault, 500, "was vorher bestätigt wurde"),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert '<html lang="de"' in answer.text
        assert told in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    scripted = client.post("/work/claim", headers={**browser, "Origin": "https://evil.example"})
    assert scripted.headers["content-type"] == "application/json"


# -- which language --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "header", "tag"),
    [
        ("", "", "en"),
        ("", "de", "de"),
        ("", "de-CH", "de"),
        ("", "DE_de, en", "en"),
        ("", "fr-FR, fr;q=0.9, de;q=0.4, en;q=0.3", "de"),
        ("", "en-US,en;q=0.9,de;q=0.8", "en"),
        ("", "de;q=0.2, en;q=0.7", "en"),
        ("", "de;q=0", "en"),
        ("", "xx, *;q=0.1", "en"),
        ("", "de;q=nonsense", "en"),
        ("", "," * 10_000 + "de", "en"),
        ("en", "de", "en"),
        ("de", "en", "de"),
        ("tlh", "de", "de"),
        ("../../secret", "", "en"),
    ],
)
def test_the_language_is_what_was_chosen_or_else_what_the_browser_asks_for(chosen: str, header: str, tag: str) -> None:
    assert languages.negotiated(chosen, header).tag == tag


def test_what_an_account_has_chosen_is_there_on_every_device_and_after_signing_out(site: Site) -> None:
    client = site.person("labeler", "mira")
    assert 'lang="en" dir="ltr"' in client.get("/tasks").text
    assert client.post("/account/language", data={"language": "de"}).status_code == 303
    assert "Hallo" in client.get("/tasks").text
    client.post("/sign-out")
    assert "<h1>Anmelden</h1>" in client.get("/sign-in").text  # this browser remembers
    other = site.client(**{"Accept-Language": "fr"})
    assert "<h1>Sign in</h1>" in other.get("/sign-in").text
    other.post("/sign-in", data={"name": "mira", "password": PASSWORD})
    assert '<option value="de" lang="de" selected>Deutsch' in other.get("/account").text
    other.post("/account/language", data={"language": ""})
    assert "Hello" in other.get("/tasks").text
    other.headers.update(GERMAN)
    assert "Hallo" in other.get("/tasks").text
    other.post("/account/language", data={"language": "en"})
    assert "Hello" in other.get("/tasks").text
    assert other.post("/account/language", data={"language": "klingon"}).status_code == 303
    assert "Hallo" in other.get("/tasks").text  # nothing that there is not is kept


def test_a_language_chosen_while_signing_in_becomes_that_of_the_account(site: Site) -> None:
    site.person("labeler", "mira")
    client = site.client()
    form = client.get("/sign-in?language=de&next=/history").text
    assert '<input type="hidden" name="language" value="de">' in form
    assert 'name="next" value="/history"' in form
    wrong = client.post("/sign-in", data={"name": "mira", "password": "not this one", "language": "de"}).text
    assert "Der Name, das Passwort oder der Code ist falsch." in wrong
    assert '<input type="hidden" name="language" value="de">' in wrong
    client.post("/sign-in", data={"name": "mira", "password": PASSWORD, "language": "de"})
    with site.database.read() as connection:
        assert connection.execute(select(person.c.language)).scalar_one() == "de"


def test_a_browser_that_somebody_else_used_changes_no_account(site: Site) -> None:
    site.person("labeler", "mira")
    client = site.client()
    client.cookies.set("language", "de")
    client.post("/sign-in", data={"name": "mira", "password": PASSWORD})
    assert "Hallo" in client.get("/tasks").text
    with site.database.read() as connection:
        assert connection.execute(select(person.c.language)).scalar_one() == ""


def test_an_invitation_is_taken_up_in_another_language(site: Site) -> None:
    address = f"/invite/{site.invite()}"
    client = site.client()
    assert "<h1>Willkommen</h1>" in client.get(address + "?language=de").text
    bad = client.post(address, data={"name": "x", "password": PASSWORD, "language": "de"})
    assert "Name: 2 bis 100 druckbare Zeichen." in bad.text
    client.post(address, data={"name": "mira", "password": PASSWORD, "language": "de"})
    other = site.client()
    other.post("/sign-in", data={"name": "mira", "password": PASSWORD})
    assert "Hallo" in other.get("/tasks").text


def test_an_account_keeps_its_language_on_either_database(url: str) -> None:
    site = Site(url)
    client = site.person("labeler", "mira")
    client.post("/account/language", data={"language": "de"})
    assert "Hallo" in client.get("/tasks").text
    with site.database.write() as connection:
        known = accounts.known(connection, "mira", PASSWORD)
        assert known is not None
        accounts.change(connection, known.id, known.id, state="deleted")
        left = connection.execute(select(person.c.language)).scalar_one()
    site.close()
    assert (known.language, left) == ("de", "")


# -- what is said ----------------------------------------------------------------------------------------------------


def test_a_phrase_is_english_and_can_be_said_otherwise() -> None:
    german = languages.language("de")
    one = phrase("this is not for a %(role)s", role=phrase("lead"))
    assert one == "this is not for a lead"
    assert json.dumps(one) == '"this is not for a lead"'
    assert german.said(one) == "das ist nicht für die Rolle „Leitung“"
    both = several([phrase("response: missing; write an answer"), "of a name: 100 %"])
    assert both == "response: missing; write an answer; of a name: 100 %"
    assert german.said(both) == "Antwort: fehlt; schreiben Sie eine; of a name: 100 %"
    assert german.said("") == ""
    assert german.said("a lead's own flag") == "a lead's own flag"


def test_dates_numbers_and_plurals_are_those_of_the_language(site: Site) -> None:
    def filled(tag: str, source: str, **values: Any) -> str:
        return pages._environment(tag).from_string(source).render(**values)  # pyright: ignore[reportPrivateUsage]

    at = 1_793_000_000.0
    assert filled("en", "{{ at | day }}|{{ at | moment }}", at=at) == "26 October 2026|26 Oct 2026, 07:33 UTC"
    assert filled("de", "{{ at | day }}|{{ at | moment }}", at=at) == "26. Oktober 2026|26. Okt. 2026, 07:33 UTC"
    assert filled("en", "{{ t | words }}|{{ u | words }}", t="x " * 1204, u="x") == "1,204 words|1 word"
    assert filled("de", "{{ t | words }}|{{ u | words }}", t="x " * 1204, u="x") == "1.204 Wörter|1 Wort"
    assert filled("de", "{{ 0.746 | percent }}") == "75\u00a0%"


def test_what_scripts_say_comes_with_the_page_and_with_the_browsers_names_of_plurals() -> None:
    german = json.loads(languages.language("de").scripts)
    assert german["plurals"] == {"one": 0, "other": 1}
    assert german["words"]["Submit"] == ["Abgeben"]
    assert german["words"]["%(count)s flag"] == ["%(count)s Merkmal", "%(count)s Merkmale"]
    assert set(german["words"]) == set(languages.script_messages())
    assert languages.language("en").scripts == ""


def test_refusals_are_said_in_the_language_of_whoever_is_refused(site: Site) -> None:
    kit.batch(site.database, kit.items(1, 1))
    client = site.person("labeler", "mira")
    client.headers.update(GERMAN)
    assert client.get("/work/nothing").json()["detail"] == "unter Ihren Aufgaben ist keine solche"
    assert "Das ist nicht für die Rolle „Labeler“." in client.get("/lead").text
    assert "<h1>Das gibt es hier nicht</h1>" in client.get("/nowhere").text
    task = client.post("/work/claim", json={}).json()["task"]
    keys = [one["key"] for one in task["responses"]]
    document = kit.ranking(keys) | {"note": "\ud800"}
    body = json.dumps({"key": "k" * 20, "document": document})
    told = client.post(f"/work/{task['slot']}/submit", content=body, headers={"Content-Type": "application/json"})
    assert "enthält ein Zeichen, das nicht gespeichert werden kann" in told.json()["detail"]
    assert (
        "kommt von einer anderen Website" in client.post("/sign-out", headers={"Origin": "https://evil.example"}).text
    )
    assert "was gesendet wurde, passt nicht" in client.put(f"/work/{task['slot']}/draft", json={}).json()["detail"]
    for _ in range(throttling.ACCOUNT_TRIES):
        wrong = client.post("/session", json={"name": "aiko", "password": "no"})
        assert wrong.json()["detail"] == "der Name, das Passwort oder der Code ist falsch"
    late = client.post("/session", json={"name": "aiko", "password": "no"})
    assert late.json()["detail"].startswith("zu viele falsche Passwörter; warten Sie ")


# -- what is kept ----------------------------------------------------------------------------------------------------


def worked(site: Site, tag: str) -> tuple[dict[str, Any], dict[str, str], list[Any]]:
    """What a labeler of a language gets and leaves behind: the task, the export, the log."""
    kit.batch(site.database, kit.items(1, 1))
    client = site.person("labeler", "mira")
    client.headers.update({"Accept-Language": tag})
    client.post("/account/language", data={"language": tag})
    assert f'lang="{tag}"' in client.get("/tasks").text
    task = client.post("/work/claim", json={}).json()["task"]
    document = kit.ranking([one["key"] for one in sorted(task["responses"], key=lambda one: one["text"])])
    assert client.post(f"/work/{task['slot']}/submit", json={"key": "k" * 20, "document": document}).status_code == 200
    client.post("/survey", data={"gender": "Female", "pay": "Agree"})
    with site.database.read() as connection:
        files = exporting.export(connection, "first", SECRET).files
        log = [(row.action, row.object, row.detail) for row in connection.execute(select(audit))]
        log += connection.execute(select(surveys.c.answers)).scalars().all()
    return task, files, log


def test_what_is_stored_logged_and_exported_is_the_same_in_every_language(folder: Path) -> None:
    found: list[Any] = []
    for tag in ("en", "de"):
        (folder / tag).mkdir()
        site = Site.at(folder / tag)
        task, files, log = worked(site, tag)
        texts = [text for name, text in files.items() if name != "manifest.json"]
        rows = [json.loads(line) | {"order": "drawn"} for text in texts for line in text.splitlines()]
        drawn = re.compile(r"labeler-\w+|\d{9,}(\.\d+)?|\b[0-9a-f]{8,64}\b")
        found.append((task["questions"], drawn.sub("", json.dumps(rows)), drawn.sub("", json.dumps(log))))
        site.close()
    assert found[0] == found[1]
    assert "Fails to follow the instruction or task" in json.dumps(found[1][0])


def test_programs_are_told_in_english(site: Site) -> None:
    program = site.key("status")
    program.headers.update(GERMAN)
    assert program.get("/api/v1/batches/none").json()["detail"] == "there is no batch 'none'"
    assert site.client(**GERMAN).get("/manage/batches").json()["detail"] == "sign in first"


def test_on_screen_a_flag_is_translated_and_its_name_and_the_leads_own_label_are_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = dict(schema.SCHEMAS[1].prompt_flags) | {"local": ("Über unsere Stadt", "")}
    monkeypatch.setitem(schema.SCHEMAS, 1, schema.Schema(schema.SCHEMAS[1].flags, schema.NULLABLE, flags))
    kit.batch(site.database, kit.items(1, 1))
    client = site.person("labeler", "mira")
    client.headers.update(GERMAN)
    task = client.post("/work/claim", json={}).json()["task"]
    page = client.get(f"/task/{task['slot']}").text
    assert 'data-flag="ambiguous"><span>Mehrdeutig</span>' in page
    assert 'data-flag="local"><span>Über unsere Stadt</span>' in page
    assert 'aria-label="7. Hervorragend: kaum besser zu machen"' in page
    assert "Question 0?" in page
    form = client.get("/survey").text
    assert '<input type="radio" name="pay" value="Agree"><span>Stimme zu</span>' in form
    assert set(survey.QUESTIONS["pay"][1]) == {"Agree", "Neither", "Disagree", "I would rather not say"}
