"""The tables of section 4.1: what `people.judged` found, for the terminal and the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from assent.evaluate.grids import Cell, Grid, interval, p_value, words

GROUPS = {"all": "all", "training": "training", "held_out": "held out"}
PAPER_RATES = (
    "The paper, against its 175B SFT model (text): 175B InstructGPT 73.4 +- 2 %, FLAN 29.8 +- 2, T0 26.8 +- 2. Read "
    "off Figure 3, training labelers: PPO-ptx .52, .55, .65 and GPT .13, .19, .23 at 1.3B, 6B, 175B."
)
PAPER_GPT_PROMPTS = (
    "The paper has two distributions. Read off Figure 3, prompts to GPT-3, training labelers: PPO-ptx .41, .50, .60 "
    "and GPT .13, .16, .21; prompts to InstructGPT: .52, .55, .65 and .13, .19, .23."
)
PAPER_LIKERT = "Read off the paper's Figure 5, 175B: GPT 2.6, prompted 3.5, SFT 4.1, PPO-ptx 4.8, FLAN 3.4, T0 3.3."
PAPER_FLAGS = (
    "The paper: hallucination 41 % of GPT and 21 % of InstructGPT on closed-domain tasks (text); read off Figure 4, "
    "follows explicit constraints GPT .22, SFT .34, PPO-ptx .43; appropriate for a customer assistant .82, .90, .92."
)
FIGURE_4 = ("fails_instruction", "satisfies_constraint", "hallucination", "inappropriate_for_customer_assistant")


def grids(found: Mapping[str, Any]) -> list[Grid]:
    """All tables that the results have something for."""
    made = [
        *_rates(found),
        *_weighted(found),
        *_beside(found),
        *_strengths(found),
        *_rated(found),
        *_agreement(found),
        *_plan(found),
    ]
    return [grid for grid in made if grid.rows]


def _rates(found: Mapping[str, Any]) -> Iterator[Grid]:
    rates, baseline = found.get("win_rates", []), found.get("baseline", "")
    over = f"preferred to {baseline}, a tie as half a win"
    yield _rate_grid(f"Win rates: {over}", [row for row in rates if row["use_case"] == "all"], PAPER_RATES)
    parts = [row for row in rates if row["use_case"] != "all" and row["group"] == "all"]
    if len({row["use_case"] for row in parts}) > 1:
        yield _rate_grid(f"By use case: {over}", parts)
    yield _rate_grid(f"By source of prompts: {over}", found.get("by_source", []), PAPER_GPT_PROMPTS, by="source")


def _rate_grid(title: str, rows: Sequence[Mapping[str, Any]], *extra: str, by: str = "use_case") -> Grid:
    columns = (
        "policy",
        "labelers",
        by.replace("_", " "),
        "win rate",
        "this team only",
        "wins",
        "ties",
        "losses",
        "prompts",
    )
    cells = tuple(
        (
            words(row["policy"]),
            words(f"{GROUPS[row['group']]} ({row['labelers']})"),
            words(row[by]),
            interval(row),
            _team(row),
            *(words(row[name]) for name in ("wins", "ties", "losses", "prompts")),
        )
        for row in rows
    )
    notes = (
        "95 % intervals. The first holds for other prompts and other labelers like these (two-way clustered), the "
        "second for other prompts judged by these labelers.",
        *extra,
        *_cautions(rows),
    )
    return Grid(title, columns, cells, notes, axis=(0.0, 1.0), line=0.5)


def _weighted(found: Mapping[str, Any]) -> Iterator[Grid]:
    """The rates of items that were chosen actively, weighed back to all that were offered."""
    rows = [row for row in found.get("weighted", []) if row["use_case"] == "all" or row["group"] == "all"]
    cells = tuple(
        (
            words(row["policy"]),
            words(f"{GROUPS[row['group']]} ({row['labelers']})"),
            words(row["use_case"]),
            interval(row),
            _team(row),
            interval(row, "plain_value", "plain_low", "plain_high"),
            *(words(row[name]) for name in ("n", "effective", "largest")),
        )
        for row in rows
    )
    notes = (
        "Items were chosen with different chances, the uncertain ones more often. Weighed by 1 / propensity (Hajek's "
        "estimator, no weight clipped) a rate is about all items that were offered; the raw one is about those chosen.",
        "Effective: judgements of equal weight that would say as much (Kish). Largest: the largest weight, in means.",
        *_cautions(rows),
    )
    title = f"Win rates weighed by how items were chosen, over {found.get('baseline', '')}"
    columns = (
        "policy",
        "labelers",
        "use case",
        "weighted",
        "this team only",
        "raw",
        "judgements",
        "effective",
        "largest",
    )
    yield Grid(title, columns, cells, notes, axis=(0.0, 1.0), line=0.5)


def _team(row: Mapping[str, Any]) -> Cell:
    """The value with the interval that holds for these labelers only."""
    return interval(row, low="team_low", high="team_high")


def _cautions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each caution once, with how many rows it is about and what they are."""
    seen: dict[str, list[str]] = {}
    for row in rows:
        if row["caution"]:
            seen.setdefault(row["caution"], []).append(_name(row))
    return [f"{caution}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" for caution, names in seen.items()]


def _name(row: Mapping[str, Any]) -> str:
    parts = (row.get("use_case", "all"), row.get("flag", ""), GROUPS.get(row.get("group", "all"), ""))
    return " ".join([str(row["policy"]), *(one for one in parts if one not in ("all", ""))])


def _beside(found: Mapping[str, Any]) -> Iterator[Grid]:
    """What stands beside the raw rates: equal length, and two policies on the same judgements."""
    rows = found.get("at_equal_length", [])
    cells = tuple(
        (
            words(row["policy"]),
            Cell(value=row["raw"]),
            interval(row),
            _team(row),
            replace(interval(row, "effect", "effect_low", "effect_high"), apart=True),
        )
        for row in rows
    )
    title = f"At equal length, over {found.get('baseline', '')}: beside the raw rate, never instead of it"
    columns = ("policy", "raw", "at equal length", "this team only", "effect of length, log odds")
    yield Grid(title, columns, cells, tuple(_cautions(rows)), axis=(0.0, 1.0), line=0.5)
    pairs = found.get("paired", [])
    cells = tuple(
        (words(f"{row['policy']} less {row['other']}"), interval(row), _team(row), *_tested(row)) for row in pairs
    )
    notes = ("The same prompts and labelers judged both; p values are Holm's, for all pairs of this table.",)
    title = f"Two policies against {found.get('baseline', '')}: difference in win rate"
    yield Grid(
        title, ("policies", "difference", "this team only", "p (Holm)", "prompts"), cells, notes, axis="table", line=0.0
    )


def _tested(row: Mapping[str, Any]) -> tuple[Cell, Cell]:
    p = row["p_holm"]
    return words(p_value(p), "" if p is None or p >= 0.05 else "good"), words(row["prompts"])


def _strengths(found: Mapping[str, Any]) -> Iterator[Grid]:
    strengths = found.get("strengths")
    if not strengths:
        return
    cells = tuple(
        (
            words(row["policy"]),
            interval(row),
            _team(row),
            words(row["elo"]),
            Cell(value=row["bradley_terry"]),
            words(row["place"] if row["places"][0] == row["places"][1] else "{} to {}".format(*row["places"])),
        )
        for row in strengths["rows"]
    )
    linked = "All policies are linked by chains of wins both ways, so that their strengths can be compared."
    notes = (strengths["caution"] or linked, "The scales of the two models differ: never compare across columns.")
    columns = ("policy", "Davidson-Luce", "this team only", "as Elo", "Bradley-Terry, ties as halves", "place")
    yield Grid("Strengths of all policies, log odds", columns, cells, notes, axis="table", line=0.0)


def _rated(found: Mapping[str, Any]) -> Iterator[Grid]:
    rows = found.get("likert", [])
    cells = tuple((words(row["policy"]), words(GROUPS[row["group"]]), interval(row), words(row["n"])) for row in rows)
    columns = ("policy", "labelers", "mean", "ratings")
    notes = (PAPER_LIKERT, *_cautions(rows))
    yield Grid("Overall quality, 1 to 7 (Likert)", columns, cells, notes, axis=(1.0, 7.0))
    order = {name: place for place, name in enumerate(FIGURE_4)}
    flags = sorted(found.get("flags", []), key=lambda row: order.get(row["flag"], len(order)))
    cells = tuple(
        (words(row["flag"].replace("_", " ")), words(row["policy"]), words(GROUPS[row["group"]]), interval(row))
        for row in flags
    )
    columns = ("flag", "policy", "labelers", "share of ratings to which it applies")
    notes = (PAPER_FLAGS, *_cautions(flags))
    yield Grid("How often a flag was set", columns, cells, notes, axis=(0.0, 1.0))


def _agreement(found: Mapping[str, Any]) -> Iterator[Grid]:
    rows = found.get("agreement", [])
    cells = tuple(
        (words(row["rule"]), words(GROUPS[row["group"]]), interval(row), Cell(value=row["chance"]), words(row["pairs"]))
        for row in rows
    )
    notes = ("The paper: training labelers 72.6 +- 1.5 %, held-out 77.3 +- 1.3 %, without a rule for ties.",)
    columns = ("rule for ties", "labelers", "agreement", "by chance", "pairs")
    title = "Labelers among themselves"
    yield Grid(title, columns, cells, (*notes, *_cautions([row | {"policy": row["rule"]} for row in rows])))


def _plan(found: Mapping[str, Any]) -> Iterator[Grid]:
    yield plan(found.get("plan", []))


def plan(rows: Sequence[Mapping[str, Any]]) -> Grid:
    """How many judgements are needed, beside how many there are."""
    cells = tuple(
        (
            words(row["policy"] or "(nothing collected yet)"),
            *(Cell(value=row[name]) for name in ("detect", "ties", "design_effect")),
            *(words(row[name]) for name in ("needed_80", "needed_90", "have")),
        )
        for row in rows
    )
    columns = ("policy", "win rate to detect", "ties", "design effect", "needed, 80 %", "needed, 90 %", "there are")
    notes = ("Judgements that tell this win rate from a tie, two-sided at 5 %, with 80 and 90 % power.",)
    return Grid("Sample size", columns, cells, notes)
