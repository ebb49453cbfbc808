"""The tables of people and what opens doors (invitations, sessions, keys), of webhooks, and of the audit log."""

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

metadata = MetaData()

person = Table(
    "person",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(32), nullable=False, unique=True),  # what the pseudonym is made from; outlives the name
    Column("name", String(100), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("team", String(20), nullable=False, server_default="train"),  # train | heldout
    Column("password", Text),
    Column("totp", String(64)),
    Column("spent", Integer, nullable=False, server_default="0"),  # the half minute of the last code that was taken
    Column("state", String(20), nullable=False, server_default="active"),  # active | disabled | deleted
    Column("created", Float, nullable=False),
    Column("language", String(20), nullable=False, server_default=""),  # of the screens; "": what the browser asks for
)

invite = Table(
    "invite",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # of the token; the token itself is told once
    Column("role", String(20), nullable=False),
    Column("team", String(20), nullable=False, server_default="train"),
    Column("author", ForeignKey("person.id")),
    Column("expires", Float, nullable=False),
    Column("used", Float),
)

session = Table(
    "session",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("seen", Float, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", LargeBinary, nullable=False, index=True),  # a hash: what was typed may be a password
    Column("address", String(64), nullable=False, index=True),
    Column("at", Float, nullable=False),
)

identity = Table(
    "identity",  # who somebody is to a provider of sign-ins
    metadata,
    Column("issuer", String(300), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False, index=True),
    Column("created", Float, nullable=False),
)

begun = Table(
    "begun",  # sign-ins that went to a provider and are not back; each comes back once
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("created", Float, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("author", ForeignKey("person.id")),
    Column("created", Float, nullable=False),
    Column("revoked", Float),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("actor", Integer),  # no foreign key: the log outlives everything
    Column("action", String(50), nullable=False),
    Column("object", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)

webhook = Table(
    "webhook",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("url", String(500), nullable=False),
    Column("events", JSON, nullable=False),
    Column("salt", String(32), nullable=False),  # its secret is made from this and the server's, and kept nowhere
    Column("author", ForeignKey("person.id")),
    Column("created", Float, nullable=False),
    Column("stopped", Float),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("webhook", ForeignKey("webhook.id"), nullable=False),
    Column("event", String(30), nullable=False),
    Column("body", Text, nullable=False),  # the bytes that are signed, the same in every try
    Column("state", String(20), nullable=False, server_default="waiting"),  # waiting | sent | parked
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("due", Float, nullable=False),
    Column("leased", Float, nullable=False, server_default="0"),  # until when one process has it
    Column("said", String(200), nullable=False, server_default=""),  # what became of the last try
    Column("created", Float, nullable=False),
)
_WAITING = text("state = 'waiting'")
Index("delivery_due", delivery.c.due, sqlite_where=_WAITING, postgresql_where=_WAITING)
Index("delivery_created", delivery.c.created)
