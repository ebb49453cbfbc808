"""The paper's claims beside what came out here. A claim holds when its interval says so, and not before."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Three = list[float]  # low, value, high
Summary = Mapping[str, Any]


class Claim(NamedTuple):
    """A sentence of the paper, its figure, and how to look for it in a summary: what stands there, and whether it holds
    (None: nothing to hold, a number to know)."""

    says: str
    paper: str
    look: Callable[[Summary], tuple[str, bool | None]]


def table(summary: Summary, claims: Sequence[Claim] | None = None) -> list[dict[str, Any]]:
    """One row a claim; without `claims` those that the demo can speak about."""
    rows: list[dict[str, Any]] = []
    for claim in claims or CLAIMS:
        here, holds = claim.look(summary)
        rows.append({"claim": claim.says, "paper": claim.paper, "here": here, "holds": VERDICTS[holds]})
    return rows


def across(tables: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The tables of several seeds as one: what came out for each, and for how many of them the claim holds."""
    rows: list[dict[str, Any]] = []
    for found in zip(*tables.values(), strict=True):
        verdicts = [row["holds"] for row in found]
        held = f"holds in {verdicts.count(VERDICTS[True])} of {len(found)}" if any(verdicts) else ""
        here = {f"seed {seed}": row["here"] for seed, row in zip(tables, found, strict=True)}
        rows.append({"claim": found[0]["claim"], "paper": found[0]["paper"], **here, "holds": held})
    return rows


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table for a document."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


VERDICTS = {True: "holds", False: "does not hold", None: ""}


def shown(three: Three, percent: bool = True) -> str:
    """`57.0 % (54.1 to 60.2)`."""
    scale, unit = (100, " %") if percent else (1, "")
    low, value, high = (number * scale for number in three)
    digits = 1 if percent else 3
    return f"{value:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def preferred(key: str, group: str, name: str, above: bool = True) -> Callable[[Summary], tuple[str, bool | None]]:
    """The win rate of a policy against SFT is clear of one half."""

    def look(summary: Summary) -> tuple[str, bool | None]:
        found: Three = summary[key][group][name]
        return shown(found), found[0] > 0.5 if above else found[2] < 0.5

    return look


def same(summary: Summary) -> tuple[str, bool | None]:
    """PPO-ptx against PPO is not clear of one half."""
    found: Three = summary["ptx_over_ppo"]
    return f"PPO-ptx over PPO {shown(found)}", found[0] <= 0.5 <= found[2]


def better(key: str, ours: str, theirs: str, less: bool = False) -> Callable[[Summary], tuple[str, bool | None]]:
    """A share is higher (or lower) for one policy than for another, their intervals apart."""

    def look(summary: Summary) -> tuple[str, bool | None]:
        one, other = summary[key][ours], summary[key][theirs]
        apart = one[2] < other[0] if less else one[0] > other[2]
        return f"{shown(one)} against {shown(other)}", apart

    return look


def alike(key: str, ours: str, theirs: str) -> Callable[[Summary], tuple[str, bool | None]]:
    """Two shares whose intervals overlap."""

    def look(summary: Summary) -> tuple[str, bool | None]:
        one, other = summary[key][ours], summary[key][theirs]
        return f"{shown(one)} against {shown(other)}", one[0] <= other[2] and other[0] <= one[2]

    return look


def agreeing(group: str) -> Callable[[Summary], tuple[str, bool | None]]:
    """How often two labelers of a group agree."""
    return lambda summary: (shown(summary["agreement"][group]), None)


def carries_over(summary: Summary) -> tuple[str, bool | None]:
    """The reward model predicts both groups better than chance."""
    own, other = summary["reward"]["own"], summary["reward"]["heldout"]
    return f"own {shown(own)}, held-out {shown(other)}", min(own[0], other[0]) > 0.5


def generalises(summary: Summary) -> tuple[str, bool | None]:
    """Held-out labelers prefer PPO-ptx as training labelers do: the intervals overlap."""
    one, other = (summary["win_rate"][group]["ppo_ptx"] for group in ("train", "heldout"))
    return f"training {shown(one)}, held-out {shown(other)}", one[0] <= other[2] and other[0] <= one[2]


def taxed(summary: Summary) -> tuple[str, bool | None]:
    """PPO loses on the corpus what the base model knew."""
    loss = summary["corpus_loss"]
    return f"loss {shown(loss['ppo'], False)}, base {shown(loss['base'], False)}", loss["ppo"][0] > loss["base"][2]


def paid_back(summary: Summary) -> tuple[str, bool | None]:
    """The pretraining mix regains at least 80 % of what PPO lost."""
    base, ppo, mixed = (summary["corpus_loss"][name][1] for name in ("base", "ppo", "ppo_ptx"))
    if ppo <= base:
        return "there is no tax to pay back", None
    regained = (ppo - mixed) / (ppo - base)
    return f"loss {mixed:.3f} against PPO's {ppo:.3f}, {100 * regained:.0f} % of the tax", regained >= 0.8


def controlled(summary: Summary) -> tuple[str, bool | None]:
    """PPO on the gold reward, which no labeler and no reward model stands between."""
    found: Three = summary["win_rate"]["heldout"]["gold"]
    return shown(found), None


def ptx_over(other: str) -> Callable[[Summary], tuple[str, bool | None]]:
    """The win rate of PPO-ptx against another policy is clear of one half."""

    def look(summary: Summary) -> tuple[str, bool | None]:
        found: Three = summary["ptx_over"][other]
        return shown(found), found[0] > 0.5

    return look


def behind_sft(summary: Summary) -> tuple[str, bool | None]:
    """Tuned on templates, a model is preferred less often than SFT."""
    return shown(summary["template"]), summary["template"][2] < 0.5


def larger_knows_more(summary: Summary) -> tuple[str, bool | None]:
    """Not a claim of the paper, but what makes the comparison of sizes mean something."""
    large, base = summary["large_corpus_loss"], summary["corpus_loss"]["base"]
    return f"loss {shown(large, False)} against {shown(base, False)}", None


def not_by_beta(summary: Summary) -> tuple[str, bool | None]:
    """No KL coefficient without the mix has both the corpus loss and the win rate of PPO-ptx."""
    rows = {row["policy"]: row for row in summary["sweep"]}
    mixed = rows.pop("ppo_ptx")
    found = [f"{row['beta']:g}: {row['corpus_loss'][1]:.3f}, {100 * row['win_rate'][1]:.0f} %" for row in rows.values()]
    worse = [row["corpus_loss"][0] > mixed["corpus_loss"][2] or row["win_rate"][2] < mixed["win_rate"][0]
             for row in rows.values()]  # fmt: skip
    ours = f"mix: {mixed['corpus_loss'][1]:.3f}, {100 * mixed['win_rate'][1]:.0f} %"
    return f"loss and win rate at beta {'; '.join(found)}; {ours}", all(worse)


def turns(summary: Summary) -> tuple[str, bool | None]:
    """Without a KL penalty the promised reward goes on rising, and the true worth turns within what was measured."""
    path, fit = summary["overoptimisation"]["path"], summary["overoptimisation"]["fit"]
    if not fit:
        return "the policy has hardly moved", None
    best, last, peak = max(path, key=lambda row: row["gold"]), path[-1], fit.get("peak_kl", float("inf"))
    text = (
        f"worth {best['gold']:.2f} at KL {best['kl']:.1f}, {last['gold']:.2f} at {last['kl']:.1f}; promised "
        f"{best['reward']:.2f}, {last['reward']:.2f}; a {fit['a']:.2f}, b {fit['b']:.2f}, peak at {peak:.1f}"
    )
    return text, fit["b_interval"]["low"] > 0 and peak < last["kl"] and last["reward"] > best["reward"]


def best_of_n_against_ppo(summary: Summary) -> tuple[str, bool | None]:
    """What best of n is worth at the KL of a policy, beside that policy, on the same prompts."""
    curve = summary["best_of"]
    found: list[str] = []
    for row in summary["sweep"]:
        if row["kl"] <= curve[-1]["kl"]:
            nearest = min(curve, key=lambda one: abs(one["kl"] - row["kl"]))
            ours, theirs = row["gold_best_of_prompts"][1], nearest["gold"][1]
            found.append(f"KL {row['kl']:.1f}: {row['policy']} {ours:.2f}, best of {nearest['n']} {theirs:.2f}")
    return "; ".join(found) or f"every policy is further away than best of {curve[-1]['n']}", None


def unseen_groups(summary: Summary) -> tuple[str, bool | None]:
    """The reward model on labelers it has not seen is nearly as good as on its own (the paper lost 2.8 points)."""
    own, other = (summary["crossvalidation"][name] for name in ("own", "held_out"))
    lost = own["accuracy"] - other["accuracy"]
    error = (own["standard_error"] ** 2 + other["standard_error"] ** 2) ** 0.5
    words = " against ".join(
        f"{100 * one['accuracy']:.1f} ± {100 * one['standard_error']:.1f} %" for one in (own, other)
    )
    return words, lost - 2 * error < 0.028 and other["accuracy"] - 2 * other["standard_error"] > 0.5


CLAIMS = (
    Claim("Training labelers agree with each other (3.4)", "72.6 ± 1.5 %", agreeing("train")),
    Claim("Held-out labelers agree with each other (3.4)", "77.3 ± 1.3 %", agreeing("heldout")),
    Claim("The reward model predicts labelers it has not seen (4.1, E.2)", "own 72.4 %, others 69.6 %", carries_over),
    Claim("The base model is worse than SFT", "about 23 %", preferred("win_rate", "heldout", "base", above=False)),
    Claim("A prompted base model is worse than SFT", "about 41 %", preferred("win_rate", "heldout", "prompted", False)),
    Claim("Held-out labelers prefer PPO to SFT", "about 70 %", preferred("win_rate", "heldout", "ppo")),
    Claim("Held-out labelers prefer PPO-ptx to SFT", "73.4 ± 2 %", preferred("win_rate", "heldout", "ppo_ptx")),
    Claim("The same when both answer greedily", "not measured", preferred("win_rate_greedy", "heldout", "ppo_ptx")),
    Claim("PPO-ptx is about as good as PPO", "about equal", same),
    Claim("Held-out labelers prefer it as training labelers do (4.1)", "about the same rates", generalises),
    Claim("PPO-ptx is more truthful than the base model", "about twice as often", better("truthful", "ppo_ptx", "base")),
    Claim("... and than SFT", "42 % against 21 % (GPT-3)", better("truthful", "ppo_ptx", "sft")),
    Claim("It makes up less in closed domains than the base", "21 % against 41 %", better("hallucination", "ppo_ptx", "base", less=True)),
    Claim("It follows explicit constraints more often than SFT", "about 43 % against 34 %", better("constraints", "ppo_ptx", "sft")),
    Claim("It answers rude requests less rudely than the base, if asked to be respectful", "25 % less toxic", better("rude_respectful", "ppo_ptx", "base", less=True)),
    Claim("Unasked, it goes on with rude beginnings about as rudely as the base", "no less toxic", alike("rude_openings", "ppo_ptx", "base")),
    Claim("PPO pays an alignment tax on the corpus", "regressions on public tasks", taxed),
    Claim("The pretraining mix pays it back", "mostly, on most tasks", paid_back),
    Claim("Control: PPO on the true reward, against SFT", "not in the paper", controlled),
)  # fmt: skip

EXPERIMENTS = (
    Claim("What the larger base model has learned of the corpus", "", larger_knows_more),
    Claim("The small aligned model is preferred to a base ten times larger", "1.3B to 175B", ptx_over("large")),
    Claim("... also when that one is prompted", "about even (figure 1)", ptx_over("large_prompted")),
    Claim("A model tuned on templates (FLAN, T0) is behind SFT", "29.8 and 26.8 %", behind_sft),
    Claim("... and PPO-ptx is preferred to it", "78 and 79 %", ptx_over("template")),
    Claim("No KL coefficient does what the mix does (E.6)", "never recovers, and loses reward", not_by_beta),
    Claim("Without a penalty the true worth turns (Gao et al. 2022)", "d (a - b ln d)", turns),
    Claim("Best of n against a policy as far away", "not in the paper", best_of_n_against_ppo),
    Claim("The reward model carries over to groups of labelers it has not seen (E.2)", "72.4 ± 0.4 against 69.6 ± 0.9 %", unseen_groups),
)  # fmt: skip
