"""Webhooks: written with what they tell, signed, sent to named hosts alone, again until taken, once at a time."""

import base64
import contextlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from assent.label import sending, webhooks
from assent.label.client import ClientError, verified
from assent.label.sending import Sender, UnsentError, is_public, post
from assent.label.settings import SettingsError
from assent.label.store import answers, backup, batches, outbox, slots
from assent.label.store.database import Database
from assent.label.store.slots import RefusedError, Worker
from assent.label.store.tables import delivery
from tests.label import kit
from tests.label.web import SECRET, Site


class Receiver:
    """A program on a port of its own that keeps what it gets; answers: what it does, one after the other."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[Any] = []
        self.free = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                what = receiver.answers.pop(0) if receiver.answers else 204
                if what == "hang":
                    receiver.free.wait(20)
                elif what == "drip":
                    with contextlib.suppress(OSError):
                        for letter in b"HTTP/1.1 204 No":
                            self.wfile.write(bytes([letter]))
                            if receiver.free.wait(0.2):
                                break
                elif what == "close":
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    self.send_response(what)
                    if what == 302:
                        self.send_header("Location", receiver.url + "/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"http://127.0.0.1:{self.server.server_port}"
        self.url = self.place + "/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.free.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def hooked(database: Database, receiver: Receiver, *events: str) -> tuple[Sender, str]:
    """A webhook of some events (all of them without any), whoever sends, and the secret."""
    known = webhooks.places((receiver.place,))
    boss = kit.people(database, 1, "admin")[0]
    _, salt = database.transact(
        lambda connection: webhooks.register(connection, receiver.url, events or tuple(outbox.EVENTS), boss, known)
    )
    return Sender(database, SECRET, known), webhooks.secret_of(SECRET, salt)


def rows(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(delivery).order_by(delivery.c.created)).all())


def hurry(database: Database) -> None:
    """Let what waits be due."""
    with database.write() as connection:
        connection.execute(update(delivery).values(due=0))


def worked(database: Database, worker: Worker, number: int) -> str:
    identity, _ = slots.claim(database, worker)
    assert identity is not None
    with database.read() as connection:
        keys = [key for key, _ in slots.owned(connection, worker, identity).shown]
    document = {**kit.ranking(keys), "note": "a labeler's own words"}
    return answers.submit(database, worker, identity, f"key-{number:06}", document)["state"]


# -- what is told ----------------------------------------------------------------------------------------------------


def test_what_happens_is_told_once_without_texts_or_names(database: Database, receiver: Receiver) -> None:
    sender, secret = hooked(database, receiver)
    kit.batch(database, kit.items(3, 1))
    worker = Worker(kit.people(database, 1)[0], "train", 60)
    assert [worked(database, worker, n) for n in range(2)] == ["accepted"] * 2
    assert rows(database) == []
    identity, _ = slots.claim(database, worker)
    assert identity is not None
    answers.skip(database, worker, identity, "skip-00001", "personal_data", "Ada lives at 12 Quay Street")
    batches.freeze(database, "first", None)
    batches.freeze(database, "first", None)
    while sender.step():
        pass
    told = [verified(secret, headers, body) for headers, body in receiver.got]
    assert [one["event"] for one in told] == ["item.quarantined", "batch.finished", "batch.frozen"]
    assert [one["batch"] for one in told] == ["first"] * 3
    assert told[2]["answers"] == 2
    assert len({one["id"] for one in told}) == 3
    for headers, body in receiver.got:
        assert headers["webhook-id"] == json.loads(body)["id"]
        for hidden in (b"labeler-", b"own words", b"Quay", b"Answer", b"Question", b"secret-model"):
            assert hidden not in body + json.dumps(headers).encode()
    assert [(row.state, row.tries, row.said) for row in rows(database)] == [("sent", 1, "204")] * 3


def test_what_did_not_happen_is_not_told(database: Database, receiver: Receiver) -> None:
    """A delivery is a row of the transaction that it tells of; and only of events that a webhook asks for."""
    hooked(database, receiver, "batch.frozen")
    kit.batch(database, kit.items(1, 1))

    def fail() -> None:
        with database.write() as connection:
            outbox.frozen(connection, 1, "first")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    worked(database, Worker(kit.people(database, 1)[0], "train", 60), 1)
    assert rows(database) == []
    batches.freeze(database, "first", None)
    assert [row.event for row in rows(database)] == ["batch.frozen"]


def test_the_last_two_at_once_finish_a_batch_once(database: Database, receiver: Receiver) -> None:
    hooked(database, receiver, "batch.finished")
    kit.batch(database, kit.items(8, 1))
    people = [Worker(number, "train", 60) for number in kit.people(database, 8)]
    hands = [threading.Thread(target=worked, args=(database, one, n)) for n, one in enumerate(people)]
    for one in hands:
        one.start()
    for one in hands:
        one.join()
    assert [row.event for row in rows(database)] == ["batch.finished"]


def test_an_export_is_told(site: Site, receiver: Receiver) -> None:
    hooked(site.database, receiver, "export.made")
    kit.batch(site.database, kit.items(1, 1))
    program = site.key("export")
    for file in ("manifest.json", "rankings.jsonl"):
        assert program.get(f"/api/v1/batches/first/export/{file}").status_code == 200
    assert [json.loads(row.body)["file"] for row in rows(site.database)] == ["rankings.jsonl"]


# -- sending ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (500, "answered 500"),
        (302, "answered 302; redirects are not followed"),
        (410, "answered 410"),
        ("close", "no connection: "),
        ("hang", "no answer within 1 seconds"),
        ("drip", "no answer within 1 seconds"),
    ],
)
def test_what_is_not_taken_is_sent_again_later(
    light: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    real = sending.post
    monkeypatch.setattr(sending, "post", lambda *given: real(*given, seconds=1.0))
    sender, secret = hooked(light, receiver)
    kit.batch(light, kit.items(1, 1))
    batches.freeze(light, "first", None)
    receiver.answers = [answer]
    start = time.monotonic()
    assert sender.step()
    assert time.monotonic() - start < 5
    assert not sender.step()  # not due
    (row,) = rows(light)
    assert (row.state, row.tries, row.said[: len(said)]) == ("waiting", 1, said)
    assert 25 < row.due - light.now() <= outbox.FIRST_WAIT
    hurry(light)
    assert sender.step()
    assert rows(light)[0].state == "sent"
    first, second = receiver.got
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])
    assert verified(secret, second[0], second[1])["event"] == "batch.frozen"
    assert not any("elsewhere" in str(one) for one in receiver.got)


def test_after_ten_tries_it_is_parked_and_an_admin_sends_it_again(light: Database, receiver: Receiver) -> None:
    sender, _ = hooked(light, receiver)
    kit.batch(light, kit.items(1, 1))
    batches.freeze(light, "first", None)
    receiver.answers = [503] * outbox.TRIES
    waits: list[float] = []
    while sender.step():
        waits.append(rows(light)[0].due - light.now())
        hurry(light)
    assert [round(one / outbox.FIRST_WAIT) for one in waits[:4]] == [1, 2, 4, 8]
    assert len(receiver.got) == outbox.TRIES
    (row,) = rows(light)
    assert row.state == "parked"
    light.transact(lambda connection: outbox.again(connection, row.id))
    assert sender.step()
    assert rows(light)[0].state == "sent"
    with pytest.raises(RefusedError, match="not parked"):
        light.transact(lambda connection: outbox.again(connection, row.id))


def test_several_servers_send_a_delivery_once(database: Database, receiver: Receiver) -> None:
    sender, _ = hooked(database, receiver)
    kit.batch(database, kit.items(1, 1))
    for _ in range(12):
        database.transact(lambda connection: outbox.tell(connection, "export.made", {"batch": "first"}))
    others = [Sender(database, SECRET, sender.known) for _ in range(6)]

    def send(one: Sender) -> None:
        while one.step():
            pass

    threads = [threading.Thread(target=send, args=(one,)) for one in others]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(receiver.got) == len({headers["webhook-id"] for headers, _ in receiver.got}) == 12


def test_a_server_that_dies_while_sending_leaves_it_to_another(database: Database, receiver: Receiver) -> None:
    """At least once: what a dead one had sent may come twice, with the same id."""
    sender, _ = hooked(database, receiver)
    kit.batch(database, kit.items(1, 1))
    batches.freeze(database, "first", None)
    dead = outbox.take(database)
    assert dead is not None
    assert outbox.take(database) is None
    with database.write() as connection:
        connection.execute(update(delivery).values(leased=delivery.c.leased - outbox.LEASE))
    assert sender.step()
    database.transact(lambda connection: outbox.failed(connection, dead.id, dead.tries, "late"))
    assert [(row.state, row.tries) for row in rows(database)] == [("sent", 2)]


def test_a_server_sends_while_it_runs(site: Site, folder: Any, receiver: Receiver) -> None:
    site.close()
    running = Site.at(folder, hooks=(receiver.place,))
    hooked(running.database, receiver)
    kit.batch(running.database, kit.items(1, 1))
    batches.freeze(running.database, "first", None)
    with TestClient(running.app):
        for _ in range(200):
            if receiver.got and rows(running.database)[0].state == "sent":
                break
            time.sleep(0.05)
    assert len(receiver.got) == 1
    assert rows(running.database)[0].state == "sent"
    running.close()


# -- where to --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "203.0.113.9", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "ff0e::1"),
        *("::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1%1"),
    ],
)
def test_no_address_but_a_public_one(address: str) -> None:
    assert not is_public(address)
    assert is_public("8.8.8.8")
    assert is_public("2606:4700:4700::1111")


@pytest.mark.parametrize("found", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_name_that_leads_inside_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, found: list[str]
) -> None:
    """Also when only one of its addresses does; and a loopback name that leads out is none."""
    answers = [(socket.AF_INET, 1, 6, "", (one, receiver.server.server_port)) for one in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(UnsentError, match="not public"):
        post(f"https://hooks.example.org:{receiver.server.server_port}/", b"{}", {})
    if "8.8.8.8" in found:
        with pytest.raises(UnsentError, match="not public"):
            post("http://localhost:9/", b"{}", {})
    assert receiver.got == []


def test_the_address_that_was_checked_is_the_one_that_is_called(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """A name that leads elsewhere when it is looked up again (DNS rebinding) is looked up once."""
    asked: list[str] = []

    def look_up(host: Any, port: Any, *_: Any, **__: Any) -> Any:
        asked.append(str(host))
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.9", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert post(receiver.url.replace("127.0.0.1", "localhost"), b"{}", {}) == 204
    assert [one for one in asked if one == "localhost"] == ["localhost"]
    assert receiver.got[0][0]["host"] == f"localhost:{receiver.server.server_port}"


@pytest.mark.parametrize(
    "url",
    [
        *("https://other.example/x", "http://hooks.example.org/x", "https://hooks.example.org:8443/x", "ftp://x/y"),
        *("https://a@hooks.example.org/", "https://hooks.example.org@evil.example/", "https://hooks.example.org.evil/"),
        *(
            "https://hooks.example.org/#x",
            "https://hooks.example.org /",
            "http://127.0.0.1:9001/",
            "nonsense",
            "https://[/",
        ),
        *("https://hooks.example.org\\@evil.example/", "https://hooks.example.org\n.evil.example/"),
    ],
)
def test_only_to_hosts_that_the_settings_name(url: str) -> None:
    known = webhooks.places(("hooks.example.org", "http://127.0.0.1:9000"))
    assert not webhooks.allowed(url, known)
    for right in ("https://hooks.example.org/a?b=c", "https://HOOKS.example.org:443/", "http://127.0.0.1:9000/"):
        assert webhooks.allowed(right, known)


@pytest.mark.parametrize("host", ["http://hooks.example.org", "http://10.0.0.1:80", "a/b", "a@b", "", "x:y", "ftp://a"])
def test_settings_that_name_no_host_are_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="is no host"):
        webhooks.places((host,))


def test_what_is_no_longer_allowed_is_not_sent(light: Database, receiver: Receiver) -> None:
    hooked(light, receiver)
    kit.batch(light, kit.items(1, 1))
    batches.freeze(light, "first", None)
    assert Sender(light, SECRET, webhooks.places(("other.example",))).step()
    assert (rows(light)[0].state, rows(light)[0].said, receiver.got) == ("parked", "no longer allowed", [])


# -- signatures and the admin ----------------------------------------------------------------------------------------


def test_signatures_are_those_of_the_standard() -> None:
    """The example of the specification of Standard Webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    found = webhooks.headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert verified(secret, found, body, at=1614265400) == {"test": 2432232314}
    with pytest.raises(ClientError, match="more than 300 seconds"):
        verified(secret, found, body, at=1614265330 + 301)
    for changed in ({"webhook-id": "msg_x"}, {"webhook-timestamp": "1614265331"}, {"webhook-signature": "v1,"}):
        with pytest.raises(ClientError, match="not the server's"):
            verified(secret, found | changed, body, at=1614265400)
    with pytest.raises(ClientError, match="not the server's"):
        verified(secret, found, body + b" ", at=1614265400)
    digest = hmac.digest(base64.b64decode(secret[6:]), b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body, "sha256")
    assert base64.b64encode(digest).decode() in found["webhook-signature"]


def test_an_admin_registers_sees_and_stops(site: Site, folder: Any, receiver: Receiver) -> None:
    admin = site.person("admin", "Root")
    assert "may send to no host" in admin.get("/admin/webhooks").text
    refused = admin.post("/admin/webhooks", data={"url": receiver.url, "events": ["batch.frozen"]})
    assert (refused.status_code, "start it with --hooks" in refused.text) == (409, True)
    site.close()
    hooks = Site.at(folder, hooks=(receiver.place,))
    client = hooks.client(Cookie="; ".join(f"{name}={value}" for name, value in admin.cookies.items()))
    for url, events in (("https://evil.example/", ["batch.frozen"]), (receiver.url, []), (receiver.url, ["x"])):
        assert client.post("/admin/webhooks", data={"url": url, "events": events}).status_code == 422
    made = client.post("/admin/webhooks", data={"url": receiver.url, "events": ["batch.frozen"]}).text
    secret = made.partition("whsec_")[2].partition("<")[0]
    assert len(base64.b64decode(secret)) == 32
    assert secret not in client.get("/admin/webhooks").text
    kit.batch(hooks.database, kit.items(1, 1))
    batches.freeze(hooks.database, "first", None)
    assert ">waiting<" in client.get("/admin/webhooks").text
    assert Sender(hooks.database, SECRET, webhooks.places((receiver.place,))).step()
    assert verified("whsec_" + secret, *receiver.got[0])["event"] == "batch.frozen"
    assert ">sent<" in client.get("/admin/webhooks").text
    assert client.post("/admin/webhooks/1/stop").status_code == 303
    assert client.post("/admin/webhooks/1/stop").status_code == 404
    assert client.post("/admin/webhooks/deliveries/x/again").status_code == 409
    hooks.database.transact(lambda connection: outbox.tell(connection, "batch.frozen", {}))
    assert len(rows(hooks.database)) == 1
    log = client.get("/manage/audit").text
    assert "registered" in log
    assert "stopped" in log
    assert secret not in log
    hooks.close()


def test_a_backup_brings_webhooks_and_no_deliveries(light: Database, receiver: Receiver, tmp_path: Any) -> None:
    """What was restored somewhere else must not tell anybody again what happened here."""
    hooked(light, receiver)
    kit.batch(light, kit.items(1, 1))
    batches.freeze(light, "first", None)
    backup.backup(light, tmp_path / "backup")
    other = Database(f"sqlite:///{tmp_path}/other.db")
    backup.restore(other, tmp_path / "backup")
    with other.read() as connection:
        assert len(webhooks.listed(connection)) == 1
    assert rows(other) == []
    other.close()
