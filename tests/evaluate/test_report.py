"""The page about evaluations: section 4 in order, figures with what made them, gaps, the same as text, JSON and CSV."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import tiny
from tests.data.kit import write
from tests.evaluate.kit import MACHINE, ratings, serving, simulated, task_files

from assent import records
from assent.commands.evaluate import Evaluate
from assent.evaluate.grids import Cell, Grid, number
from assent.evaluate.measure import Settings
from assent.evaluate.part import Part
from assent.evaluate.report import report, tell
from assent.evaluate.sections import sections
from assent.evaluate.strips import strip
from assent.train.select import summary

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, blank: Path) -> dict[str, Path]:
    """Two evaluations, their tax, and people, whose evaluation has a dead endpoint and broken files as well."""
    folder = tmp_path_factory.mktemp("runs")
    data = task_files(folder)
    with (data / "drop.jsonl").open("ab") as file:
        file.write(b'{"passage": "caf\xe9", "question": "say", "answers": ["x"]}\n')
    write(data / "sst2_dev.jsonl", [{"sentense": "good", "label": 1}])
    names = {name: folder / name for name in ("before", "after", "tax", "people")}
    shared: dict[str, Any] = {"machine": MACHINE, "quiet": True}
    tasks: dict[str, Any] = {"tasks": ("rte", "drop", "crows_pairs", "sst", "language"), "settings": Settings(shots=2)}
    other = folder / "other"
    tiny.create(other, tiny.SHAPE.__class__(**{**vars(tiny.SHAPE), "seed": 1}))
    dead = "dead=http://127.0.0.1:9#m"
    Evaluate(run=names["before"], models=(f"old={blank}", dead), data=(str(data),), **tasks, **shared).start()
    Evaluate(run=names["after"], models=(f"new={other}",), data=(str(data),), **tasks, **shared).start()
    Evaluate(run=names["tax"], tax=(f"{names['before']}#old", str(names["after"])), **shared).start()
    rows = simulated(30)
    records.write(folder / "rankings.jsonl", rows)
    records.write(folder / "ratings.jsonl", ratings(rows))
    files: dict[str, Any] = {name: (folder / f"{name}.jsonl",) for name in ("rankings", "ratings")}
    with serving() as url:
        Evaluate(run=names["people"], baseline="sft", judges=(f"far={url}#m",), **files, **shared).start()
    return names


@pytest.fixture(scope="module")
def page(runs: dict[str, Path]) -> Path:
    return report(list(runs.values()), runs["tax"].parent / "report.html")


def test_section_4_stands_in_its_order_and_nothing_is_fetched(runs: dict[str, Path], page: Path) -> None:
    text = page.read_text()
    titles = re.findall(r'<section id="[\w-]+"><h2>(.*?)</h2>', text)
    assert titles[:7] == [
        "4.1 What people prefer",
        "4.1 What judges prefer",
        "4.2 Toxicity and bias",
        "4.2 Public tasks",
        "4.2 Alignment tax",
        "4.3 Probes",
        "What this rests on",
    ]
    for fetched in ("src=", "<link", "@import", "url(http"):
        assert fetched not in text
    assert text == report(list(runs.values()), page.with_name("again.html")).read_text()
    assert not report([runs["tax"]], page.with_name("tax.html")).read_text().count("What people prefer")


def test_models_of_two_runs_are_columns_beside_the_paper(page: Path) -> None:
    text = page.read_text()
    assert "<th>old</th><th>new</th><th>paper GPT</th><th>paper PPO-ptx</th>" in text
    assert "0.527 0.617 0.563" in text  # RTE
    assert "73.4 +- 2 %" in text
    row = re.search(r"<td[^>]*>crows_pairs.*?</tr>", text, re.DOTALL)
    assert row is not None
    assert row[0].count('class="strip"') == 2
    assert row[0].count('class="tick"') == 2 * 6


def test_every_figure_says_what_made_it(runs: dict[str, Path], page: Path) -> None:
    text, parts = page.read_text(), [Part.read(run) for run in runs.values()]
    for section in sections(parts):
        for block in section.blocks:
            assert block.sources, block.grid.title
            assert all(one.command.startswith("assent evaluate --run") and one.file.exists() for one in block.sources)
    assert f'<a href="{runs["people"].name}/results.json">' in text
    assert "--baseline sft --judges" in text
    digest = json.loads((runs["people"] / "results.json").read_text())["made"]["preference"]["files"][0]["sha256"]
    assert digest[:16] in text


def test_every_gap_is_seen_and_the_rest_is_done(runs: dict[str, Path], page: Path) -> None:
    text, found = page.read_text(), json.loads((runs["before"] / "results.json").read_text())
    done = {(row["model"], row["task"]) for row in found["evaluation"]}
    assert {("old", task) for task in ("rte", "drop", "crows_pairs", "language")} <= done
    gaps = text[text.index("What is missing, and why") :]
    for words in (
        "cannot be reached",  # the endpoint
        "items without an answer",
        "sentence: missing (or text)",  # a column of SST that is called otherwise
        "2 of 6 rows of",  # DROP: an empty reference, and bytes that are not UTF-8
        "gives no log-probabilities of given texts",
    ):
        assert words in gaps, words
    rejected = [json.loads(line) for line in (runs["before"] / "rejected.jsonl").read_text().splitlines()]
    assert {(row["line"], row["field"]) for row in rejected} == {(5, "answers"), (6, "")}
    assert "UTF-8" in rejected[-1]["reason"]


def test_programs_get_the_same_numbers(runs: dict[str, Path], page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directories = list(runs.values())
    tables = json.loads(report(directories, page.with_suffix(".json")).read_text())["tables"]
    with report(directories, page.with_suffix(".csv")).open() as file:
        rows = list(csv.DictReader(file))
    people = [row for row in rows if row["section"] == "4.1 What people prefer"]
    rate = next(row for row in people if row["row"].startswith("ppo / all"))
    found = json.loads((runs["people"] / "results.json").read_text())["preference"]["win_rates"]
    whole = next(row for row in found if row["policy"] == "ppo" and row["use_case"] == "all")
    for name in ("value", "low", "high"):
        assert float(rate[name]) == whole[name]
    assert {one["section"] for one in tables} >= {row["section"] for row in rows}
    tell(directories)
    printed = capsys.readouterr().out
    assert report(directories, page.with_suffix(".txt")).read_text() == printed
    assert printed.count("4.2 Public tasks") == 1  # a section of one table of the same name says it once
    for words in ("Win rates: preferred to sft", "Alignment tax: new after old", "0.527 0.617", "cannot be reached"):
        assert words in printed


def test_reasons_that_differ_by_an_id_are_one(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"step": "records", "config": {}}))
    alike = [{"reason": f"begins like an earlier prompt (id p-{n}/x{n})", "field": f"responses[{n}]"} for n in range(7)]
    others = [{"reason": f"kind {'x' * n}"} for n in range(1, 60)]
    write(tmp_path / "rejected.jsonl", [*alike, *others])
    text = report([tmp_path], tmp_path / "page.html").read_text()
    assert "<td>7</td><td>responses[N]: begins like an earlier prompt (id ...)" in text
    assert "<td>10</td><td>10 other reasons</td>" in text  # of 60, the 50 most frequent stand alone


def test_cross_validation_stands_beside_the_papers(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"step": "crossvalidate", "config": {}, "command": "assent x"}))
    (tmp_path / "results.json").write_text(
        json.dumps(summary([{"step": n, "own": 0.7, "held_out": 0.6} for n in (0, 1)]))
    )
    (section,) = sections([Part.read(tmp_path)])
    assert section.title == "Reward models"
    (block,) = section.blocks
    assert [[cell.text for cell in row] for row in block.grid.rows] == [
        ["labelers it was trained on", "70.0 +- 0.0", "72.4 +- 0.4", "2"],
        ["labelers of the group left out", "60.0 +- 0.0", "69.6 +- 0.9", "2"],
    ]
    assert block.sources[0].command == "assent x"


# -- drawings ------------------------------------------------------------------------------------------------------


def test_intervals_are_drawn_where_they_lie() -> None:
    cell = Cell("", 0.5, 0.25, 0.75, ticks=(1.0,))
    drawn = str(strip(cell, (0.0, 1.0), 0.5))
    ends = [float(one) for one in re.findall(r'class="range" x1="([\d.]+)" x2="([\d.]+)"', drawn)[0]]
    (middle,) = re.findall(r'<circle cx="([\d.]+)"', drawn)
    (line,) = re.findall(r'class="zero" x1="([\d.]+)"', drawn)
    (tick,) = re.findall(r'class="tick" x1="([\d.]+)"', drawn)
    assert float(middle) == float(line) == sum(ends) / 2
    assert ends[1] - ends[0] == pytest.approx((float(tick) - float(middle)), abs=0.1)
    assert strip(Cell("x"), (0.0, 1.0), None) == ""
    assert strip(Cell("", 0.5, 0.25, 0.75, apart=True), (0.0, 1.0), None) == ""


def test_axes_are_of_a_row_or_of_the_table() -> None:
    rows = tuple((Cell("", value, value - 1, value + 1),) for value in (0.0, 10.0))
    each, together = Grid("", ("x",), rows), Grid("", ("x",), rows, axis="table")
    first, second = (each.span(row) for row in rows)
    assert first != second
    assert together.span(rows[0]) == together.span(rows[1])
    assert Grid("", ("x",), ((Cell("words"),),)).span((Cell("words"),)) is None


def test_numbers_are_read_without_powers_of_ten() -> None:
    assert [number(one) for one in (0.0, 1e-9, -1e-5, 0.1234, 12.345, 123456.0)] == [
        *("0", "0.000", "-0.000", "0.123", "12.3", "123,456"),
    ]


# -- the page in a browser -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"no Chromium found (looked for {', '.join(BROWSERS)}); `apt-get install chromium` brings one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=SWITCHES)
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 360])
def test_the_page_is_for_everybody(page: Path, browser: Any, width: int, scheme: str) -> None:
    """No fault that axe-core knows, nothing is asked for, and what scrolls by itself takes the focus."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab, asked = context.new_page(), list[str]()
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.as_uri())
    assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in Axe().run(tab).response["violations"]] == []
    assert asked == [page.as_uri()]
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(25, 25, 24)"}[scheme]
    wide = tab.evaluate(
        "[...document.querySelectorAll('.wide')].map(one => [one.scrollWidth > one.clientWidth, one.tabIndex])"
    )
    assert all((place == 0) == scrolls for scrolls, place in wide)
    context.close()


def test_nothing_is_cut_on_paper(page: Path, browser: Any) -> None:
    tab = browser.new_page(viewport={"width": 720, "height": 1000}, color_scheme="dark")
    tab.goto(page.as_uri())
    tab.emulate_media(media="print")
    over = "[...document.querySelectorAll('table')].filter(one => one.getBoundingClientRect().right > 721).length"
    assert tab.evaluate(over) == 0
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate("[...document.querySelectorAll('section details')].every(one => one.open)")
    tab.close()


def test_samples_are_searched_by_keyboard(page: Path, browser: Any) -> None:
    tab = browser.new_page(viewport={"width": 1300, "height": 900})
    tab.goto(page.as_uri())
    tab.locator("#samples input[type=search]").focus()
    status, focused = tab.locator("#samples [role=status]"), "document.activeElement.tagName"
    total = status.inner_text()
    tab.keyboard.type("no such words")
    assert status.inner_text() == "0 prompts"
    tab.keyboard.press("Control+a")
    tab.keyboard.press("Delete")
    assert status.inner_text() == total
    tab.keyboard.press("Tab")
    assert tab.evaluate(focused) == "SELECT"
    tab.keyboard.press("ArrowDown")
    assert status.inner_text() != total
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    assert tab.locator("#samples [data-only=differ]").is_checked()
    tab.close()


@pytest.mark.parametrize("width", [1300, 400])
def test_samples_are_searched_and_filtered(page: Path, browser: Any, width: int) -> None:
    tab, faults = browser.new_page(viewport={"width": width, "height": 900}), list[str]()
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width  # what is wide scrolls by itself
    status = tab.locator("#samples [role=status]")
    shown = tab.locator("#samples tbody tr:visible")
    total = int(status.inner_text().split()[0])
    assert shown.count() == min(total, 20)
    tab.select_option("#samples select", "language/zero")
    assert 0 < int(status.inner_text().split()[0]) < total
    tab.fill("#samples input[type=search]", "no such words")
    assert status.inner_text() == "0 prompts"
    tab.select_option("#samples select", "")
    tab.fill("#samples input[type=search]", "RED THEN BLUE")
    assert all("red then blue" in text.lower() for text in shown.all_text_contents())
    assert shown.count() > 0
    assert faults == []
    tab.close()
