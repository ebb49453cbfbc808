"""Plain text for pretraining and the pretraining mix: the same document is learned once."""

import hashlib
from collections.abc import Iterable

from assent.data.prompts import Dropped
from assent.records import Document


def unique(documents: Iterable[Document]) -> tuple[tuple[Document, ...], tuple[Dropped, ...]]:
    """The first of every text, white space at its ends aside, and the repeated ones."""
    first: dict[bytes, str] = {}
    kept: list[Document] = []
    repeated: list[Dropped] = []
    for document in documents:
        key = hashlib.sha256(document.text.strip().encode()).digest()
        if key in first:
            repeated.append(Dropped(document.id, "text", f"the same as the document {first[key]}"))
        else:
            first[key] = document.id
            kept.append(document)
    return tuple(kept), tuple(repeated)
