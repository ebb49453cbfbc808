"""The tables. What must never happen is forbidden here rather than checked elsewhere:

- an item has exactly the slots that were made for it (`slot_item_n`), so nobody can be one too many;
- a labeler stands on an item at most once (`slot_item_labeler`) and holds at most one open slot (`slot_one_open`);
- an answer's revisions are numbered without repetition (`answer_view_revision`), and neither answers nor the audit
  log can be changed or deleted (triggers, see the migrations);
- a key that a browser made for a submission is spent once (`receipt`).

Times are seconds since 1970 UTC by the database's clock (`database.now`), never by that of the program.
"""

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from assent.label.store.doors import api_key as api_key
from assent.label.store.doors import attempt as attempt
from assent.label.store.doors import audit as audit
from assent.label.store.doors import delivery as delivery
from assent.label.store.doors import invite as invite
from assent.label.store.doors import metadata
from assent.label.store.doors import person as person
from assent.label.store.doors import session as session
from assent.label.store.doors import webhook as webhook

# -- work ----------------------------------------------------------------------------------------------------

guideline = Table(
    "guideline",
    metadata,
    Column("version", String(50), primary_key=True),
    Column("text", Text, nullable=False),
    Column("author", ForeignKey("person.id")),
    Column("created", Float, nullable=False),
)

batch = Table(
    "batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("state", String(20), nullable=False),  # loading | open | frozen
    Column("plan", JSON, nullable=False),
    Column("guideline", ForeignKey("guideline.version"), nullable=False),
    Column("source_hash", String(64), nullable=False),  # of what was imported: the same import twice is one import
    Column("author", ForeignKey("person.id")),
    Column("created", Float, nullable=False),
    Column("frozen", Float),
    Column("calibration", Float),  # since when labelers may compare what they have handed in
)

item = Table(
    "item",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch", ForeignKey("batch.id"), nullable=False),
    Column("record", String(500), nullable=False),
    Column("kind", String(20), nullable=False),  # rank | demonstrate | review
    Column("mode", String(20), nullable=False, server_default="plain"),
    Column("source", Text, nullable=False, server_default=""),
    Column("licence", Text, nullable=False, server_default=""),
    Column("stratum", String(20), nullable=False),  # single | overlap | gold | practice | retest | review
    Column("chosen", String(20), nullable=False, server_default="all"),  # all | uniform | uncertain
    Column("propensity", Float, nullable=False, server_default="1"),  # the chance that it was chosen at all
    Column("repeats", ForeignKey("item.id")),  # a retest repeats an item for one labeler; a review, what one wrote
    Column("state", String(20), nullable=False, server_default="open"),  # open | parked | quarantined
    Column("skips", Integer, nullable=False, server_default="0"),
    Column("gold", JSON),  # the ranks that are known to be right
    Column("prompt", JSON, nullable=False),  # long columns stand last: SQLite reads past them to reach later ones
    Column("responses", JSON, nullable=False),  # as imported, with the policies' names; [] for a demonstration
    Column("meant", JSON),  # of a practice item: {"reason", "response"}, told when it has been handed in
    Column("retired", Float),  # of a known answer: from when on it no longer counts
    UniqueConstraint("batch", "record", "stratum", name="item_batch_record"),
)
Index(
    "item_practice",
    item.c.batch,
    sqlite_where=text("stratum = 'practice'"),
    postgresql_where=text("stratum = 'practice'"),
)
Index("item_batch", item.c.batch, item.c.state, item.c.stratum)
Index("item_repeats", item.c.repeats)

author = Table(
    "author",
    metadata,
    Column("item", ForeignKey("item.id"), primary_key=True),
    Column("person", ForeignKey("person.id"), primary_key=True),
)

slot = Table(
    "slot",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item", ForeignKey("item.id"), nullable=False),
    Column("batch", ForeignKey("batch.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("team", String(20), nullable=False, server_default="train"),  # any | train | heldout
    Column("reserved", ForeignKey("person.id")),
    Column("after", Float, nullable=False, server_default="0"),
    Column("priority", Float, nullable=False),
    Column("labeler", ForeignKey("person.id")),
    Column("expires", Float, nullable=False, server_default="0"),
    Column("state", String(20), nullable=False, server_default="open"),  # open | submitted | void
    Column("attempt", Integer, nullable=False, server_default="0"),
    UniqueConstraint("item", "n", name="slot_item_n"),
    UniqueConstraint("item", "labeler", name="slot_item_labeler"),
)
_OPEN = text("state = 'open'")
Index("slot_queue", slot.c.priority, slot.c.id, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("slot_one_open", slot.c.labeler, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("slot_batch", slot.c.batch, slot.c.state)

view = Table(
    "view",
    metadata,
    Column("id", String(32), primary_key=True),  # what the browser calls the slot
    Column("item", ForeignKey("item.id"), nullable=False),
    Column("batch", ForeignKey("batch.id"), nullable=False),
    Column("labeler", ForeignKey("person.id"), nullable=False),
    Column("shown", JSON, nullable=False),  # [[key, place in item.responses], ...] from the top of the screen
    Column("state", String(20), nullable=False, server_default="open"),  # open | accepted | surplus | skipped
    Column("reason", String(20), nullable=False, server_default=""),
    Column("opened", Float, nullable=False),
    Column("compared", Float),  # when its labeler looked at others' answers; after that none is revised
    UniqueConstraint("item", "labeler", name="view_item_labeler"),
)
Index("view_labeler", view.c.labeler, view.c.opened)
Index("view_batch", view.c.batch, view.c.state)
Index("view_open", view.c.labeler, sqlite_where=_OPEN, postgresql_where=_OPEN)
_LOOKED = text("compared IS NOT NULL")
Index("view_compared", view.c.batch, sqlite_where=_LOOKED, postgresql_where=_LOOKED)

draft = Table(
    "draft",
    metadata,
    Column("view", ForeignKey("view.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

answer = Table(
    "answer",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("view", ForeignKey("view.id"), nullable=False),
    Column("item", ForeignKey("item.id"), nullable=False),
    Column("batch", ForeignKey("batch.id"), nullable=False),
    Column("labeler", ForeignKey("person.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", String(20), nullable=False),  # accepted | surplus
    Column("schema", Integer, nullable=False),
    Column("guideline", String(50), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    UniqueConstraint("view", "revision", name="answer_view_revision"),
)
Index("answer_batch", answer.c.batch, answer.c.item)
Index("answer_labeler", answer.c.labeler, answer.c.at)
Index("answer_newest", answer.c.batch, answer.c.id)
_FIRST = text("revision = 1")
Index(
    "answer_pace",  # holds all that is asked about time, so that a million answers need not be read for it
    answer.c.batch,
    answer.c.labeler,
    answer.c.at,
    answer.c.seconds,
    sqlite_where=_FIRST,
    postgresql_where=_FIRST,
)

receipt = Table(
    "receipt",
    metadata,
    Column("labeler", ForeignKey("person.id"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("action", String(20), nullable=False),
    Column("view", ForeignKey("view.id"), nullable=False),
    Column("result", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

# -- what leads decide ----------------------------------------------------------------------

screening = Table(
    "screening",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("candidate", String(32), nullable=False, unique=True),  # a code; who it is, is not told to whom decides
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("scores", JSON, nullable=False),
    Column("decision", String(20), nullable=False, server_default="open"),  # open | taken | declined
    Column("cutoffs", String(50), nullable=False),
    Column("ratings", JSON, nullable=False, server_default=text("'{}'")),  # item -> lead -> 1-7, of demonstrations
)

survey = Table(
    "survey",  # voluntary and unlinkable: no person, no time, no order of arrival
    metadata,
    Column("id", String(32), primary_key=True),
    Column("cohort", Integer, nullable=False),  # five answers each; told when whole
    Column("answers", JSON, nullable=False),
    sqlite_with_rowid=False,  # rows lie in the order of their random numbers, not of arrival
)

surveyed = Table(
    "surveyed",  # who has answered the survey, and nothing else: no time, and no order but that of people
    metadata,
    Column("person", ForeignKey("person.id"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

adjudication = Table(
    "adjudication",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item", ForeignKey("item.id"), nullable=False),
    Column("lead", ForeignKey("person.id"), nullable=False),
    Column("verdict", JSON, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("at", Float, nullable=False),
)
