"""The locked versions and their hashes: two files that say the same, and no place from which anything is fetched."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
HASHES = (ROOT / "hashes.lock").read_text()


def test_every_locked_version_has_hashes_and_nothing_else_does() -> None:
    """Save torch: its builds for processors are not those of the package index, so no list of hashes holds for both."""
    locked = {line.lower().replace("_", "-") for line in LOCK.splitlines() if not line.startswith("torch==")}
    found = re.findall(r"^(\S+==\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)", HASHES, re.MULTILINE)
    assert {name for name, _ in found} == locked, "say `make hashes`"
    assert len(HASHES.splitlines()) == len(found) + HASHES.count("--hash=")


def test_a_lock_names_no_place() -> None:
    for text in (LOCK, HASHES):
        assert not re.search(r"://|--index|--find-links|--extra|@", text)
