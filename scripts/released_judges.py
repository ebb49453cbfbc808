"""Judges of truth and information on what the paper's models answered, beside what the paper's judges said of it.

    python -m scripts.released_judges FOLDER_OF_EVALS TRUTH INFO

TRUTH and INFO are judges as `assent evaluate` takes them. The released samples of TruthfulQA hold 100 answers of each
of twelve models to each of three prompts, with the probabilities that the paper's fine-tuned GPT-3 judges gave them.
Prints how often ours agree with those, over all and on questions that `--judge-sets` holds out, and how near the rates
of the 36 models and prompts are.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from assent.engine.machine import Machine
from assent.evaluate import metrics, released
from assent.evaluate.scorers import Subject, scorer
from assent.evaluate.tasks.checks import Labelled, held_out


def main() -> None:
    folder, truth, info = Path(sys.argv[1]), *sys.argv[2:4]
    asked: tuple[tuple[Subject, str, str], ...] = (("truth", "true", truth), ("info", "info", info))
    rows = released.samples(folder, "truthful_qa")
    cells = np.array([f"{row['model_type']}/{row['prompt_type']}" for row in rows])
    unseen = np.array([held_out(Labelled(row["prompt"], "", True)) for row in rows])
    verdicts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for subject, key, judge in asked:
        ours = verdicts_of(judge, subject, rows)
        theirs = np.array([row[key] > metrics.THRESHOLD for row in rows])
        verdicts[subject] = ours, theirs
        for name, some in (("all answers", np.full(len(rows), True)), ("questions held out", unseen)):
            usual = max(theirs[some].mean(), 1 - theirs[some].mean())
            agree = (ours == theirs)[some].mean()
            print(f"{subject}, {name}: {some.sum()} answers, agree {agree:.3f}, always the usual verdict {usual:.3f}")
        compare(subject, cells, ours, theirs)
    both = [verdicts["truth"][side] & verdicts["info"][side] for side in (0, 1)]
    compare("true and informative", cells, both[0], both[1])


def verdicts_of(judge: str, subject: Subject, rows: list[released.Row]) -> np.ndarray:
    scores = scorer(judge, subject, Machine()).scores([(row["prompt"], row["sample"].strip()) for row in rows])
    return np.array([score is not None and score > metrics.THRESHOLD for score in scores])


def compare(name: str, cells: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> None:
    """The rates of every model and prompt by either judge: how far apart, and whether in one order."""
    pairs = np.array([(ours[cells == cell].mean(), theirs[cells == cell].mean()) for cell in np.unique(cells)])
    apart = np.sqrt(((pairs[:, 0] - pairs[:, 1]) ** 2).mean())
    found: Any = stats.spearmanr(pairs[:, 0], pairs[:, 1])
    print(f"{name}, {len(pairs)} rates: RMSE {apart:.3f}, rank correlation {found.statistic:.2f}")


if __name__ == "__main__":
    main()
