"""Who labels: a voluntary survey that cannot be linked to anybody (paper, appendix B.3).

An answer is stored under a random number without person, time or order of arrival. Answers join groups of five as they
come; only whole groups are counted, so that two looks never differ by one person. Counts below five are not told, nor
is the one count from which the missing one could be worked out.

Nobody answers twice: another table holds who has answered, and that is all it holds. With every answer both tables are
written anew, each in the order of its own keys, so that neither the order in which rows lie nor the transaction that
PostgreSQL notes beside each row puts an answer and a person together. Backups leave the second table out, since two of
them would show who came and which answer came between them.
"""

import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text

from assent.label.phrases import phrase
from assent.label.store.slots import RefusedError
from assent.label.store.tables import survey, surveyed

FEWEST = 5
UNSAID = phrase("I would rather not say")
QUESTIONS: dict[str, tuple[str, tuple[str, ...]]] = {  # closed questions only: free words would tell who wrote them
    "gender": (
        phrase("What gender do you identify as?"),
        (phrase("Male"), phrase("Female"), phrase("Nonbinary or other"), UNSAID),
    ),
    "age": (
        phrase("What is your age?"),
        ("18-24", "25-34", "35-44", "45-54", "55-64", phrase("65 or more"), UNSAID),
    ),
    "education": (
        phrase("What is your highest attained level of education?"),
        (
            phrase("Less than a high school degree"),
            phrase("High school degree"),
            phrase("Undergraduate degree"),
            phrase("Master's degree"),
            phrase("Doctorate degree"),
            UNSAID,
        ),
    ),
    "language": (
        phrase("Is the language of the tasks your first language?"),
        (phrase("Yes"), phrase("No"), UNSAID),
    ),
    "pay": (phrase("I think my pay is fair."), (phrase("Agree"), phrase("Neither"), phrase("Disagree"), UNSAID)),
    "liking": (phrase("I like this kind of work."), (phrase("Agree"), phrase("Neither"), phrase("Disagree"), UNSAID)),
}


def add(connection: Connection, answers: Mapping[str, str], number: int) -> None:
    """Keep the answers of a person; questions may be left out.

    Raises RefusedError for what was not asked, and 409 when the person has answered before.
    """
    for name, choice in answers.items():
        if name not in QUESTIONS or choice not in QUESTIONS[name][1]:
            raise RefusedError(422, phrase("%(name)s: not a question, or not one of its answers", name=name))
    if not answers:
        raise RefusedError(422, "answers: none; leave the page if you would rather not answer")
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE survey, surveyed IN EXCLUSIVE MODE"))  # the next one counts this one
    if answered(connection, number):
        raise RefusedError(409, "you have answered the survey before; answers cannot be found again to be changed")
    given = [dict(row) for row in connection.execute(select(survey)).mappings()]
    people = [dict(row) for row in connection.execute(select(surveyed)).mappings()]
    kept = {name: answers.get(name, UNSAID) for name in QUESTIONS}
    given.append({"id": secrets.token_hex(16), "cohort": len(given) // FEWEST, "answers": kept})
    people.append({"person": number})
    for table, rows in ((survey, given), (surveyed, people)):
        key = table.primary_key.columns[0].name
        connection.execute(delete(table))
        connection.execute(insert(table), sorted(rows, key=lambda row, key=key: row[key]))


def answered(connection: Connection, number: int) -> bool:
    """Whether a person has answered."""
    return connection.execute(select(surveyed.c.person).where(surveyed.c.person == number)).first() is not None


def results(connection: Connection) -> dict[str, Any]:
    """Counts by question, without those from which a person could be made out."""
    rows = connection.execute(select(survey.c.cohort, survey.c.answers)).all()
    sizes = Counter(row.cohort for row in rows)
    counted = [row.answers for row in rows if sizes[row.cohort] == FEWEST]
    return {
        "answers": len(counted),
        "questions": {
            name: {"text": text, "counts": suppressed(Counter(one[name] for one in counted), choices)}
            for name, (text, choices) in QUESTIONS.items()
        },
    }


def suppressed(counts: Mapping[str, int], choices: tuple[str, ...]) -> dict[str, int | None]:
    """Counts of at least five, others None, and as many more that nobody works one out, not even from this rule.

    What else is hidden depends on its place (the last choices first) and not on its count: were the smallest taken,
    its size would say something of the others.
    """
    told: dict[str, int | None] = {one: counts.get(one, 0) for one in choices}
    hidden = [one for one in choices if 0 < counts.get(one, 0) < FEWEST]
    rest = [one for one in choices if counts.get(one, 0) >= FEWEST]
    while (
        hidden and rest and (len(hidden) == 1 or sum(counts[one] for one in hidden) < FEWEST or _plain(counts, hidden))
    ):
        hidden.append(rest.pop())
    if _plain(counts, hidden):
        hidden = list(choices)
    return told | dict.fromkeys(hidden)


def _plain(counts: Mapping[str, int], hidden: list[str]) -> bool:
    """Whether a sum gives its parts away: all ones, or all as large as a hidden count can be."""
    return {counts[one] for one in hidden} in ({1}, {FEWEST - 1})
