"""What our metrics make of the paper's released samples, beside what they should: prints it, writes runs/golden.json.

    python -m scripts.golden_metrics [FOLDER_OF_EVALS [OUTPUT]]

Without a folder it takes the one the tests take (tests/data/kit.py), and says so when there is none. Ends with a fault
when one of them disagrees.
"""

import json
import sys
from pathlib import Path

from tests.data.kit import public_data

from assent.evaluate.released import golden


def main() -> None:
    data = public_data()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else data / "evals" if data else None
    if folder is None:
        print("no released samples here: name the folder that holds instructgpt_samples_*.jsonl.gz, or set ASSENT_DATA")
        return
    found = golden(folder)
    output = Path(sys.argv[2] if len(sys.argv) > 2 else "runs/golden.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    numbers = {name: {"ours": round(one.ours, 6), "spec": one.spec} for name, one in found.items()}
    output.write_text(json.dumps(numbers, indent=2) + "\n")
    for name, one in found.items():
        print(f"{name:70s} {one.ours:9.4f} {one.spec:9.4f}{'' if one.agrees else '  DISAGREES'}")
    wrong = sum(not one.agrees for one in found.values())
    print(f"{len(found)} values, {wrong} disagree; written to {output}")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
