"""The verbs of the command line: each a frozen dataclass, whose fields are its flags, with one `start`."""

from pathlib import Path

import tyro

Files = tuple[Path, ...]
Flat = tyro.conf.arg(name="")  # the fields of a configuration are flags of the verb itself
