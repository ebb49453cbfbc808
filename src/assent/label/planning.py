"""What a batch is made of, decided by pure functions: who sees what how often, what is chosen, in which order.

Every decision is a function of the records and the seed, and every chance is written down, so that later numbers can
be weighed: a rate over a batch is estimated from its uniform stratum or by dividing by the propensities.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assent.label.store.batches import NewItem, NewSlot


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a batch is made.

    overlap: labelers of most items. shared, shared_overlap: the share of items that more labelers do, and how many
    (agreement is measured there). gold: the share of a labeler's work that has a known answer. heldout: the share of
    items that one held-out labeler does as well. reviews: how many others read and rate every demonstration; the paper
    says nothing of such a reading, and it costs as many more tasks, so none is the default. limit: items that are
    chosen of those given (0: all); of them the share `uniform` is chosen by lot and the rest by `scores`, the more
    uncertain the more likely. mode: what a demonstration is called for (paper, section 3.2).
    """

    overlap: int = 1
    shared: float = 0.1
    shared_overlap: int = 5
    gold: float = 0.05
    heldout: float = 0.0
    reviews: int = 0
    limit: int = 0
    uniform: float = 0.25
    mode: str = "plain"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.overlap <= 50 or not 1 <= self.shared_overlap <= 50:
            raise ValueError("overlap and shared_overlap: 1 to 50 labelers")
        for name in ("shared", "gold", "heldout", "uniform"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is no share; 0 to 1")
        if self.gold > 0.5:
            raise ValueError(f"gold: {self.gold}; at most half of the work can have known answers (usual: 0.05 to 0.1)")
        if not 0 <= self.reviews <= 10:
            raise ValueError(f"reviews: {self.reviews}; 0 to 10 others read every demonstration")
        if self.limit < 0:
            raise ValueError(f"limit: {self.limit}; 0 takes all items")
        if self.mode not in ("plain", "few_shot", "user_based"):
            raise ValueError(f"mode: {self.mode!r} is not one of plain, few_shot, user_based")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Plan":
        """A plan from JSON; raises ValueError that names an unknown or ill-typed field."""
        known = {name: type(value) for name, value in asdict(cls()).items()}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"plan: {name!r} is not one of {', '.join(known)}")
            wanted = (int, float) if known[name] is float else (known[name],)
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise ValueError(f"plan: {name} is a {known[name].__name__}, not {value!r}")
        return cls(**values)


@dataclass(frozen=True)
class Chosen:
    """An item's place in a batch: which stratum chose it, and with which chance it was chosen at all."""

    place: int
    stratum: str
    propensity: float


def choose(count: int, plan: Plan, scores: Sequence[float] | None = None) -> list[Chosen]:
    """Which of `count` items a batch takes, in their order.

    Each item is included with a chance p = u + (1 - u') c, the lot's part and the scores' part; one systematic draw
    over the p takes exactly `limit` items, each with exactly its p (Madow 1949). A taken item belongs to the uniform
    stratum with chance lot/p, so that stratum has the same chance for every item.
    """
    if not plan.limit or plan.limit >= count:
        return [Chosen(place, "all", 1.0) for place in range(count)]
    if scores is None:
        scores = [1.0] * count
    lot = plan.uniform * plan.limit / count
    chances = [lot + part for part in _proportional(scores, (1 - plan.uniform) * plan.limit, 1 - lot)]
    rng = random.Random(f"choose {plan.seed}")
    order = list(range(count))
    rng.shuffle(order)
    start, taken, reached = rng.random(), list[Chosen](), 0.0
    for place in order:
        before, reached = reached, reached + chances[place]
        if _steps(reached, start) > _steps(before, start):
            stratum = "uniform" if rng.random() < lot / chances[place] else "uncertain"
            taken.append(Chosen(place, stratum, chances[place]))
    return sorted(taken, key=lambda one: one.place)


def _steps(reached: float, start: float) -> int:
    """How many of start, start + 1, ... lie below; rounding must not lose the last one."""
    return int(max(0.0, round(reached, 9) - start + 1))


def _proportional(scores: Sequence[float], total: float, most: float) -> list[float]:
    """Chances in proportion to the scores that add up to `total`, none above `most`."""
    weights = [max(score, 0.0) + 1e-12 for score in scores]
    capped: set[int] = set()
    while True:
        rest = total - most * len(capped)
        free = sum(weight for place, weight in enumerate(weights) if place not in capped)
        scale = rest / free if free > 0 else 0.0
        above = {place for place, weight in enumerate(weights) if place not in capped and weight * scale > most}
        if not above:
            return [most if place in capped else weight * scale for place, weight in enumerate(weights)]
        capped |= above


def arrange(
    items: Sequence[NewItem], gold: Sequence[NewItem], practice: Sequence[NewItem], plan: Plan
) -> list[NewItem]:
    """The items with their slots: which are shared, which held-out labelers do, gold spread evenly between.

    Gold items get as many slots as make their share of the work, in turn; nobody can tell them from the rest.
    """
    rng = random.Random(f"arrange {plan.seed}")
    order = list(range(len(items)))
    rng.shuffle(order)
    shared = set(order[: round(plan.shared * len(items))]) if plan.shared_overlap > plan.overlap else set[int]()
    again = list(order)
    rng.shuffle(again)
    heldout = set(again[: round(plan.heldout * len(items))])
    made: list[NewItem] = []
    work = 0
    for position, place in enumerate(order):
        count = plan.shared_overlap if place in shared else plan.overlap
        priority = position / max(1, len(order))
        slots = [NewSlot("train", priority) for _ in range(count)]
        slots += [NewSlot("heldout", priority)] if place in heldout else []
        work += count
        stratum = "overlap" if place in shared else "single"
        made.append(_with(items[place], slots=slots, stratum=stratum))
    return (
        made + _gold(gold, round(work * plan.gold / (1 - plan.gold)), rng) + [_with(one, slots=[]) for one in practice]
    )


def _gold(gold: Sequence[NewItem], total: int, rng: random.Random) -> list[NewItem]:
    if not gold or not total:
        return []
    order = list(gold)
    rng.shuffle(order)
    places = [(number + rng.random()) / total for number in range(total)]
    slots: list[list[NewSlot]] = [[] for _ in order]
    for number, priority in enumerate(places):
        slots[number % len(order)].append(NewSlot("any", priority))
    return [_with(one, slots=mine) for one, mine in zip(order, slots, strict=True) if mine]


def _with(one: NewItem, **changes: Any) -> NewItem:
    return NewItem(**{**one.__dict__, **changes})


def gold_share(items: Sequence[NewItem]) -> float:
    """The share of the slots of a batch that lie on gold items."""
    total = sum(len(one.slots) for one in items)
    return sum(len(one.slots) for one in items if one.stratum == "gold") / total if total else 0.0
