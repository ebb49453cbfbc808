"""What the documents claim, held against the code: commands, options, names, links, files, defaults."""

import ast
import contextlib
import functools
import io
import operator
import os
import re
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "assent"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = sorted(SOURCE.rglob("*.py"))
ROOMS = {path.stem for path in SOURCE.iterdir()} - {"__init__", "__pycache__"}

LONGEST_FILE, LONGEST_TRAIN = 300, 40
LONG_FILES = {  # past 300 lines a file needs a reason
    "records.py": "six record classes and their strict decoder are one file format",
    "run.py": "everything that knows what lies in a run directory",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a document in `language` ("" for plain ones)."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    return [block for name, block in fences if name == language]


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


# -- commands ------------------------------------------------------------------------------------------------------


def commands(path: Path) -> Iterator[list[str]]:
    """The `assent` command lines of a document's shell blocks, as words."""
    for language in ("", "sh", "bash", "console"):
        for block in blocks(path, language):
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.match(r"(?:\$ )?(?:\S+ .*)?(?<!\w)assent ([a-z]+ [^)]*)\)?$", line):
                    yield shlex.split(found[1], comments=True)


@functools.cache
def help_of(*verb: str) -> str:
    """What `assent VERB --help` says, asked of the command line itself, once a verb; "" when there is no such verb.

    Some verbs have verbs of their own: `help_of("label", "export")`.
    """
    from assent.cli import VERBS, main

    said = io.StringIO()
    old, sys.argv = sys.argv, ["assent", *verb, "--help"]
    environment = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ.update(COLUMNS="400", NO_COLOR="1")
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), pytest.raises(SystemExit):
            main()
    finally:
        sys.argv = old
        for name, value in environment.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return said.getvalue() if verb[0] in VERBS else ""


def mentioned_commands() -> list[tuple[str, ...]]:
    return sorted({tuple(words) for path in DOCUMENTS for words in commands(path)})


@pytest.mark.parametrize("words", mentioned_commands(), ids=" ".join)
def test_commands_exist(words: tuple[str, ...]) -> None:
    verb, *rest = words
    known = help_of(verb)
    assert known, f"`assent {verb}` does not exist"
    if "subcommands" in known:
        assert re.search(rf"[{{,]{rest[0]}[,}}]", known), f"`assent {verb} {rest[0]}` does not exist"
        known = help_of(verb, rest[0])
    for option in (word.partition("=")[0] for word in rest if word.startswith("--")):
        everywhere = ("--recipe", "--config", "--help")  # taken out before a verb sees its flags
        found = option in everywhere or re.search(rf"{re.escape(option)}(?![\w.-])", known)
        assert found, f"`assent {verb}` has no option {option}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_verbs_in_prose_exist(path: Path) -> None:
    for verb in set(re.findall(r"`assent ([a-z]+)[^`]*`", prose(path))):
        assert help_of(verb), f"`assent {verb}` does not exist"


@each(DOCUMENTS)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = prose(path) + "".join(blocks(path, "") + blocks(path, "sh"))
    mentioned = set(re.findall(r"`make ([a-z-]+)`", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert mentioned <= targets


# -- names ---------------------------------------------------------------------------------------------------------


def module_of(parts: list[str]) -> tuple[Path | None, list[str]]:
    """The file that a dotted name begins with, and what is left of the name."""
    place = SOURCE
    for count, part in enumerate(parts, start=1):
        if (place / f"{part}.py").exists():
            return place / f"{part}.py", parts[count:]
        place /= part
        if not place.is_dir():
            return None, parts
    return place / "__init__.py", []


def members(body: list[ast.stmt]) -> dict[str, ast.AST]:
    """The names that a module or class defines."""
    found: dict[str, ast.AST] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return found


def definition(dotted: str) -> ast.AST | None:
    """The syntax of what a dotted name names, from `assent` on down; None when there is no such thing.

    What a method sets on `self` counts as a member of its class; what a class inherits does not.
    """
    path, rest = module_of(dotted.removeprefix("assent.").split("."))
    if path is None or not path.exists():
        return None
    node: ast.AST = tree(path)
    for part in rest:
        inner = members(getattr(node, "body", []))
        if isinstance(node, ast.ClassDef):
            inner |= {
                item.attr: item
                for item in ast.walk(node)
                if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id == "self"
            }
        if part not in inner:
            return None
        node = inner[part]
    return node


def is_file(dotted: str) -> bool:
    return dotted.endswith((".py", ".md", ".jsonl", ".json", ".toml", ".svg", ".html"))


@each(DOCUMENTS)
def test_dotted_names_exist(path: Path) -> None:
    quoted = re.findall(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`", prose(path))
    ours = {name for name in quoted if name.removeprefix("assent.").partition(".")[0] in ROOMS and not is_file(name)}
    assert not [name for name in sorted(ours) if definition(name) is None]


@each(DOCUMENTS)
def test_files_named_in_prose_exist(path: Path) -> None:
    for name in set(re.findall(r"`([\w/]+\.(?:py|md|toml))`", prose(path))):
        assert any((place / name).exists() for place in (ROOT, ROOT / "docs", SOURCE)), name


@each(DOCUMENTS)
def test_imports_in_python_blocks_exist(path: Path) -> None:
    for block in blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "assent":
                for alias in node.names:
                    assert definition(f"{node.module}.{alias.name}") is not None, f"{node.module}.{alias.name}"


def test_recipes_exist() -> None:
    recipes = members(tree(SOURCE / "recipes.py").body)
    mentioned = {name for path in DOCUMENTS for name in re.findall(r"\b(?:paper_\d+b|sandbox)(?=`)", path.read_text())}
    assert mentioned
    assert mentioned <= recipes.keys()


def test_hyper_parameters_in_the_table_are_those_of_the_recipes() -> None:
    from assent import recipes

    cell = r" ([^|\n]*) \|"
    rows = re.findall(rf"^\|[^|\n]*\| `([\w.]+)` \|{3 * cell}", (ROOT / "docs" / "paper.md").read_text(), re.MULTILINE)
    assert len(rows) > 30
    for setting, *said in rows:
        for words, recipe in zip(said, (recipes.paper_1b, recipes.paper_6b, recipes.paper_175b), strict=True):
            value = operator.attrgetter(setting)(recipe())
            numbers = words.split(", ") if isinstance(value, tuple) else [words.replace(",", "")]
            found = value if isinstance(value, tuple) else (value,)
            assert tuple(map(float, numbers)) == found, f"{recipe.__name__} has {setting} = {value}"


# -- the house -----------------------------------------------------------------------------------------------------


def test_file_tree_is_the_file_tree() -> None:
    """Rooms and the files beside them; what is in a room says its first line, as every file does."""
    block = next(block for block in blocks(ROOT / "README.md", "") if block.startswith("src/assent/"))
    shown = [line.split()[0] for line in block.splitlines()[1:]]
    real = {f"{path.name}/" for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    real |= {path.name for path in SOURCE.glob("*.py") if path.name != "__init__.py"}
    assert sorted(shown) == sorted(real)


@each(DOCUMENTS)
def test_relative_links_resolve(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(path)) + re.findall(r'(?:src|href)="([^"]+)"', prose(path))
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


@each(SOURCES)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST_FILE or str(path.relative_to(SOURCE)) in LONG_FILES


@each(sorted((SOURCE / "train").glob("*.py")))
def test_training_loops_fit_one_screen(path: Path) -> None:
    train = members(tree(path).body).get("train")
    if isinstance(train, ast.FunctionDef):
        first = train.body[1] if ast.get_docstring(train) else train.body[0]
        assert (train.end_lineno or 0) - first.lineno + 1 <= LONGEST_TRAIN


@each(SOURCES)
def test_modules_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(tree(path))


MACHINE = re.compile("(?<![\\w.}])/(?:work/(?:main|shared)|tmp|root|home)" + r"\b|\bshared" + "/|\\.lib" + "rary")
WRITTEN = [
    path
    for pattern in (
        "*.md",
        "*.toml",
        "Makefile",
        "docs/*",
        "src/**/*.py",
        "tests/**/*.py",
        "bench/**/*",
        "scripts/**/*",
    )
    for path in sorted(ROOT.glob(pattern))
    if path.is_file() and path.suffix in (".md", ".toml", ".py", ".svg", ".sh", "")
]


@each(WRITTEN)
def test_no_machine_is_named(path: Path) -> None:
    assert not MACHINE.findall(path.read_text())


@each(SOURCES)
def test_documents_named_in_the_source_exist(path: Path) -> None:
    for name in set(re.findall(r"[\w/-]+\.md\b", path.read_text())):
        assert any((place / name).exists() for place in (ROOT, ROOT / "docs")), name


def test_the_picture_is_well_formed_and_described() -> None:
    svg = ElementTree.parse(ROOT / "docs" / "ring.svg").getroot()
    title, described = (svg.find(f"{{http://www.w3.org/2000/svg}}{name}") for name in ("title", "desc"))
    assert title is not None
    assert described is not None
    assert svg.get("aria-labelledby") == f"{title.get('id')} {described.get('id')}"
