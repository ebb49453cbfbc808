"""`assent label ...`: the app in which people write, rate and rank. Never loads torch."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tyro

from assent.commands import Files
from assent.commands.books import Backup, Place, Restore, Verify, opened, told
from assent.commands.simulate import Simulate

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Serve(Place):
    """Serve the app. The first start makes a secret and prints a link with which the first admin joins."""

    host: str = "127.0.0.1"
    port: int = 8000
    https: bool = False
    """Browsers come by https, through a proxy in front; needed for any host but this machine."""
    lease: float = 1800.0
    """Seconds that a task stays with a labeler who does nothing."""
    codes: bool = False
    """Leads and admins need an authenticator, and can do nothing before they have set it up."""
    hooks: tuple[str, ...] = ()
    """Hosts that webhooks may go to: HOST or HOST:PORT by https, or http://127.0.0.1:PORT."""
    oidc_issuer: str = ""
    """Where people may sign in as well (OpenID Connect); its secret: ASSENT_LABEL_OIDC_SECRET, or file oidc-secret."""
    oidc_client: str = ""
    oidc_name: str = "SSO"
    """What people call it; it stands on a button."""
    development: bool = False
    """Serve the description of the API at /api/v1/openapi.json."""

    def provider(self, secret: bytes) -> Any:
        """Where people may sign in as well."""
        from assent.label.settings import Provider

        return Provider(issuer=self.oidc_issuer, client=self.oidc_client, secret=secret, name=self.oidc_name)

    def work(self) -> None:
        """Serve until stopped."""
        import uvicorn

        from assent.label import settings
        from assent.label.app import create_app
        from assent.label.store import guidelines

        if self.host not in _LOOPBACK and not self.https:
            raise ValueError(
                f"--host: {self.host} is reached from elsewhere, and passwords would travel openly; put a proxy with "
                "https in front and say --https, or stay at 127.0.0.1"
            )
        made = settings.Settings(
            database=self.url,
            secret=settings.secret(self.data),
            https=self.https,
            lease=self.lease,
            codes=self.codes,
            production=not self.development,
            hooks=self.hooks,
            oidc=self.provider(settings.oidc_secret(self.data)) if self.oidc_issuer else None,
        )
        database = self.open()
        link = _first_invite(database)
        guidelines.add_shipped(database)
        database.close()
        app = create_app(made)
        shown = f"http://{self.host}:{self.port}"
        if link:
            print(f"The first admin joins here, once, within 72 hours: {shown}/invite/{link}", flush=True)
        print(f"Serving at {shown}; stop with Ctrl-C", flush=True)
        uvicorn.run(app, host=self.host, port=self.port, access_log=False, log_level="warning", server_header=False)


@dataclass(frozen=True, kw_only=True)
class Invite(Place):
    """Print the path of an invitation: for one person, once, within 72 hours."""

    role: str = "labeler"
    """labeler, lead, researcher or admin."""
    team: str = "train"
    """train or heldout (labelers who produce no training data)."""

    def work(self) -> None:
        """Make the invitation."""
        from assent.label import accounts

        with opened(self) as database:
            token = told(lambda: database.transact(lambda c: accounts.make_invite(c, self.role, self.team, None)))
            print(f"/invite/{token}")


@dataclass(frozen=True, kw_only=True)
class Key(Place):
    """Make a key for a program and print it, once."""

    name: tyro.conf.Positional[str]
    scopes: tuple[str, ...]
    """import, export, status, people."""

    def work(self) -> None:
        """Make the key."""
        from assent.label import keys

        with opened(self) as database:
            print(told(lambda: database.transact(lambda c: keys.make(c, self.name, self.scopes, None))))


@dataclass(frozen=True, kw_only=True)
class Guideline(Place):
    """Add a version of the guidelines (Markdown); a version is never changed."""

    file: tyro.conf.Positional[Path]
    version: str

    def work(self) -> None:
        """Add it."""
        from assent.label.store import guidelines

        with opened(self) as database:
            told(lambda: guidelines.add(database, self.version, self.file.read_text(), None))
            print(f"guideline {self.version} is there")


@dataclass(frozen=True, kw_only=True)
class Import(Place):
    """Make a batch of prompts (to answer) or samples (to rank), with rankings as gold; all or nothing."""

    files: tyro.conf.Positional[Files]
    name: str
    guideline: str
    overlap: int = 1
    """Labelers of most items."""
    shared: float = 0.1
    """The share of items that more labelers do: agreement is measured there."""
    shared_overlap: int = 5
    gold: float = 0.05
    """The share of the work whose answer is known (rankings among the files)."""
    heldout: float = 0.0
    """The share of items that a held-out labeler does as well."""
    reviews: int = 0
    """So many other labelers read every demonstration and rate it from 1 to 7."""
    limit: int = 0
    """Choose so many of the items; 0 takes all."""
    uniform: float = 0.25
    """The share of the chosen that is chosen by lot, the rest by --scores."""
    scores: Path | None = None
    """Lines of {"id": ..., "score": ...}: the more uncertain, the likelier chosen."""
    practice: int = 0
    """So many of the first items are shown to everybody first and not counted."""
    meant: Path | None = None
    """Lines of {"id", "reason", "ranks" or "response"}: practice items, explained when somebody has done one."""
    mode: str = "plain"
    """plain, few_shot or user_based."""
    seed: int = 0

    def work(self) -> None:
        """Import."""
        from assent.label.planning import Plan
        from assent.label.store import batches, importing, meant

        plan = Plan(**{one.name: getattr(self, one.name) for one in fields(Plan)})
        work = [one for path in self.files for one in importing.read(path)]
        if len({one.id for one in work}) != len(work):
            raise ValueError("an id stands in two files; ids are unique in a batch")
        scores = importing.read_scores(self.scores) if self.scores else None
        explained = meant.parse(self.meant.read_text().splitlines(), self.meant.name) if self.meant else {}
        source = importing.Source(work=tuple(work), scores=scores, practice=self.practice, meant=explained)
        with opened(self) as database:
            told(lambda: importing.put(database, self.name, source, plan, self.guideline, None))
            with database.read() as connection:
                print(json.dumps(batches.status(connection, self.name)[0], indent=2, ensure_ascii=False))


@dataclass(frozen=True, kw_only=True)
class Status(Place):
    """Print where every batch stands."""

    def work(self) -> None:
        """Print it."""
        from assent.label.store import batches

        with opened(self) as database, database.read() as connection:
            for one in batches.status(connection):
                print(
                    f"{one['name']}: {one['state']}, items {one['items']}, slots {one['slots']}, answers {one['views']}"
                )


@dataclass(frozen=True, kw_only=True)
class Quality(Place):
    """Print what a batch's answers say about themselves, as the lead's pages show it, from more rankings; as JSON."""

    name: tyro.conf.Positional[str]
    rankings: int = 20_000
    """So many at most, of items drawn by lot; four thousand take ten to thirty seconds."""

    def work(self) -> None:
        """Work it out and print it."""
        from assent.label import quality

        with opened(self) as database:
            with database.snapshot() as connection:
                given = told(lambda: quality.gathered(connection, self.name, self.rankings))
            print(json.dumps(quality.computed(given), indent=1, ensure_ascii=False))


@dataclass(frozen=True, kw_only=True)
class Freeze(Place):
    """Close a batch for good: no more work and no more revisions."""

    name: tyro.conf.Positional[str]

    def work(self) -> None:
        """Freeze it."""
        from assent.label.store import batches

        with opened(self) as database:
            told(lambda: batches.freeze(database, self.name, None))
            print(f"batch {self.name} is frozen")


@dataclass(frozen=True, kw_only=True)
class Export(Place):
    """Write a batch as records that `assent sft` and `assent reward` take, with a manifest of hashes."""

    name: tyro.conf.Positional[str]
    output: Path
    floor: float = 0.0
    """Leave out demonstrations that other labelers rated below this on average, or not at all; 0 keeps all."""
    parquet: bool = False
    """Write Parquet beside the lines, in a folder that `datasets.load_dataset` loads."""

    def work(self) -> None:
        """Export."""
        from assent.label import manage, settings
        from assent.label.store import exporting, parquet

        with opened(self) as database:
            with database.snapshot() as connection:
                made = told(lambda: exporting.export(connection, self.name, settings.secret(self.data), self.floor))
            if self.parquet:
                made = parquet.with_tables(made)
            made.write(self.output)
            database.transact(lambda c: manage.exported(c, self.name, "all", None))
        for file, facts in made.manifest["files"].items():
            print(f"{facts['records']:7d}  {self.output / file}")
        for reason, count in made.manifest["left_out"].items():
            print(f"{count:7d}  left out: {reason}")


@dataclass(frozen=True)
class Label:
    """The app in which people write demonstrations, rate and rank, and their lead sees whether to trust it."""

    act: tyro.conf.OmitSubcommandPrefixes[
        Serve
        | Invite
        | Key
        | Guideline
        | Import
        | Status
        | Quality
        | Freeze
        | Export
        | Backup
        | Restore
        | Verify
        | Simulate
    ]

    def start(self) -> None:
        """Run the verb."""
        self.act.start()


def _first_invite(database: Any) -> str:
    """The token for the first admin, as long as there is nobody."""
    from assent.label import accounts

    with database.write() as connection:
        return "" if accounts.people(connection) else accounts.make_invite(connection, "admin", "train", None)
