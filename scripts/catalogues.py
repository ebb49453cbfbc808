"""Catalogues of the labeling app's texts: `python -m scripts.catalogues` brings every one of them up to date with the
source, `python -m scripts.catalogues fr` begins another language.

What is new in the source has an empty translation afterwards, what is gone from it is gone, and the rest stays.
"""

import sys
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from assent.label import languages

ROOT = Path(languages.__file__).parent
METHODS = [("templates/**.j2", "jinja2"), ("static/**.js", "javascript"), ("**.py", "python")]
OPTIONS = {
    "templates/**.j2": {"newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
}
KEYWORDS: dict[str, Any] = {
    **DEFAULT_KEYWORDS,
    "phrase": None,
    **dict.fromkeys(("RefusedError", "HTTPException"), (2,)),  # a status, and a sentence
    **dict.fromkeys(("BusyError", "FullError", "UnfitError"), None),
}


def extracted() -> Catalog:
    """All messages of the source, without translations."""
    found = Catalog()
    for file, _, message, _, context in extract_from_dir(ROOT, METHODS, OPTIONS, KEYWORDS):
        found.add(message, locations=[(Path(file).as_posix(), 0)], context=context)
    return found


def main(tags: list[str]) -> None:
    template = extracted()
    languages.CATALOGUES.mkdir(exist_ok=True)
    for tag in tags or [path.stem for path in sorted(languages.CATALOGUES.glob("*.po"))]:
        path = languages.CATALOGUES / f"{tag}.po"
        locale = Locale.parse(tag, sep="-")
        catalogue = Catalog(locale=locale)
        if path.exists():
            with path.open("rb") as file:
                catalogue = read_po(file, locale=locale)
        catalogue.project, catalogue.header_comment = "assent", f"# {locale.english_name}, for the labeling app."
        template.creation_date = catalogue.creation_date  # so that nothing changes where nothing has changed
        catalogue.update(template, no_fuzzy_matching=True, update_header_comment=False)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=100, include_lineno=False, sort_by_file=True, omit_header=False)
        empty = sum(1 for one in catalogue if one.id and not any(languages.forms(one.string)))
        print(f"{path.name}: {len(catalogue)} messages, {empty} of them without a translation")


if __name__ == "__main__":
    main(sys.argv[1:])
