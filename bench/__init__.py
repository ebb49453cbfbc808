"""How fast Assent is: beside TRL on the same models, data and hyper-parameters, and beside the machine's limit.

`python -m bench` sets up everything under `.bench/`, lets the sides take turns, prints a table and writes
`bench/results.json`. What runs where: the driver (`suite`) loads no torch; each side of each job is a process of its
own (`peer.*` in TRL's environment, `ours.*` in Assent's) that does one repetition whenever it is told to (`turns`).
This package is imported in both environments, so `turns`, `work` and `peer` know neither Assent nor each other's peer.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"  # environments, models, data, logs: everything here can be deleted
ASSETS = HOME / "assets"
