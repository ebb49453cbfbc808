"""Data sets of the kind that FLAN and T0 were tuned on: old tasks in fixed templates, with labels for answers.

The paper's baseline of section 4.1 (figure 5): a model tuned on these knows how to do what it is told, and has never
seen how people tell it, nor what they like. Every data set is as large as the others, whatever users ask for.
"""

import random
from collections.abc import Callable

from assent.records import Demonstration, Message, Prompt
from assent.sandbox import passages
from assent.sandbox.instructions import LICENCE, SOURCE
from assent.sandbox.tasks import Task, ask
from assent.sandbox.world import World

LABELS: dict[str, Callable[[World, Task], str]] = {  # kind of task -> what its data set has as the answer
    "fact": lambda world, task: world.facts[task.key],
    "closed": lambda world, task: task.value,
    "mood": lambda world, task: task.value,
    "sum": lambda world, task: task.value,
    "extract": lambda world, task: ", ".join(task.items),
    "summary": lambda world, task: passages.summed_up(task.items),
    "polite": lambda world, task: task.passage,
}
TEMPLATES = {
    "fact": ("Question: {x}\nAnswer:", "{x}\nAnswer in one or two words:", "Trivia. {x}"),
    "closed": ("Passage and question: {x}\nAnswer:", "{x}\nThe answer is", "Reading comprehension. {x}"),
    "mood": ("Text: {x}\nSentiment:", "{x}\nOptions: happy, sad.\nAnswer:", "Sentiment analysis. {x}"),
    "sum": ("Arithmetic: {x}\nAnswer:", "Question: {x}\nAnswer:", "{x}\nNumber:"),
    "extract": ("Text: {x}\nAnimals:", "Named entities. {x}\nAnswer:", "{x}\nEntities:"),
    "summary": ("Article: {x}\nSummary:", "{x}\nTL;DR:", "Text summarisation. {x}"),
    "polite": ("Input: {x}\nOutput:", "Style transfer. {x}", "{x}\nParaphrase:"),
}


def demonstrations(world: World, count: int) -> list[Demonstration]:
    """`count` examples, the data sets in turn."""
    return [_example(world, number) for number in range(count)]


def _example(world: World, number: int) -> Demonstration:
    rng = random.Random(f"template {world.seed} {number}")
    kind = list(LABELS)[number % len(LABELS)]
    asked = ask(world, kind, rng)
    text = rng.choice(TEMPLATES[kind]).format(x=asked.text)
    identity = f"pellow-{world.seed}/template/{number}"
    prompt = Prompt(id=identity, messages=(Message("user", text),), source=SOURCE, licence=LICENCE)
    response = LABELS[kind](world, asked.task)
    return Demonstration(id=identity, prompt=prompt, response=response, source=SOURCE, licence=LICENCE)
