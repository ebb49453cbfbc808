"""A model directory from elsewhere runs nothing: no pickle, no code of its own, no template that reaches out."""

import json
import os
import pickle
import re
import shutil
import struct
from pathlib import Path

import pytest
import torch
from jinja2.exceptions import SecurityError
from tests import tiny

from assent.engine.models import ScalarModel
from assent.engine.text import Text
from assent.records import Message

SOURCE = Path(__file__).parents[2] / "src" / "assent"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "model"
    tiny.create(path)
    return path


@pytest.fixture
def foreign(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def test_nothing_in_the_source_unpickles_or_trusts_code() -> None:
    """Weights are safetensors, state is safetensors and JSON; transformers' default is not to run a model's code."""
    banned = r"\bpickle\b|torch\.load\(|\bjoblib\b|\bmarshal\b|\bshelve\b|trust_remote_code|allow_pickle|weights_only"
    lines = [(path.name, line) for path in SOURCE.rglob("*.py") for line in path.read_text().splitlines()]
    assert [one for one in lines if re.search(banned, one[1].partition("#")[0]) and "no pickle" not in one[1]] == []


class Evil:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.bin"])
def test_pickled_weights_are_refused_and_not_opened(foreign: Path, tmp_path: Path, name: str) -> None:
    (foreign / "model.safetensors").unlink()
    torch.save({"weight": Evil(tmp_path / "ran")}, foreign / name)
    with pytest.raises(ValueError, match="cannot be loaded"):
        tiny.model(foreign)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Evil(tmp_path / "ran")))  # the trap works
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("how", ["header", "cut", "offsets"])
def test_damaged_weights_are_refused(foreign: Path, how: str) -> None:
    """A header that is longer than the file, a file that ends early, tensors that lie outside of it."""
    path = foreign / "model.safetensors"
    whole = path.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    if how == "header":
        path.write_bytes(struct.pack("<Q", 1 << 40) + whole[8:])
    elif how == "cut":
        path.write_bytes(whole[:-100])
    else:
        header = json.loads(whole[8 : 8 + length])
        name = next(one for one in header if one != "__metadata__")
        header[name]["data_offsets"] = [0, 1 << 50]
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + length :])
    with pytest.raises(ValueError, match=r"cannot be loaded .*: model\.safetensors is damaged"):
        tiny.model(foreign)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.json", "{\n not json", r"config\.json, line 2: not JSON"),
        ("config.json", "[]", r"config\.json is not a JSON object"),
        ("tokenizer.json", "{", r"tokenizer\.json, line 1: not JSON"),
        ("tokenizer_config.json", "\xff", r"tokenizer_config\.json is not UTF-8"),
        ("config.json", "{}", "model_type"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(foreign: Path, name: str, text: str, says: str) -> None:
    (foreign / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=says):
        tiny.model(foreign)


def test_a_damaged_reward_model_is_named_too(foreign: Path) -> None:
    (foreign / "config.json").write_text("{\n not json")
    with pytest.raises(ValueError, match=r"config\.json, line 2: not JSON"):
        ScalarModel.load(foreign, tiny.MACHINE)


def test_code_that_comes_with_a_model_is_not_run(foreign: Path, tmp_path: Path) -> None:
    config = json.loads((foreign / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    (foreign / "config.json").write_text(json.dumps(config))
    (foreign / "own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\nclass Own: pass\n")
    with pytest.raises(ValueError, match="cannot be loaded"):
        tiny.model(foreign)
    assert not (tmp_path / "ran").exists()


def test_a_template_reaches_nothing_but_the_messages(foreign: Path) -> None:
    """Chat templates are programs from elsewhere; they run in Jinja's immutable sandbox."""
    for template in ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ messages.append(1) }}"):
        text = Text.load(foreign)
        text.tokenizer.chat_template = template
        with pytest.raises(SecurityError):
            text.prompt([Message("user", "hello")])
