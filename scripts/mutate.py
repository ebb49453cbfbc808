"""Break the mathematics and the bookkeeping on purpose, one fault at a time; the fast tests must notice every one.

python scripts/mutate.py            all mutants
python scripts/mutate.py advantage  those whose description holds a word
"""

import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"

import beartype  # noqa: F401  (loaded here once, for all children)
import pytest
import torch
import transformers  # noqa: F401

ROOT = Path(__file__).parents[1]


class Mutant(NamedTuple):
    """A fault: in `file`, `old`, which stands there once, becomes `new`."""

    what: str
    file: str
    old: str
    new: str


O, R, P, G = "objectives.py", "train/rollout.py", "train/ppo.py", "engine/generate.py"
L, T, M, E = "engine/learner.py", "engine/layout.py", "engine/models.py", "engine/logits.py"
D, N, B = "engine/decoding.py", "engine/narrow.py", "engine/blocks.py"
C, K, W, Y = (f"engine/processor/{name}.cpp" for name in ("attention", "blocks", "drawing", "decoder"))
S, F, A = "engine/stack.py", "engine/forward.py", "engine/attention/plans.py"

MUTANTS = (
    Mutant("ties make pairs", O, "ranks[:, None] < ranks[None, :]", "ranks[:, None] <= ranks[None, :]"),
    Mutant("best and worst swapped", O, "ranks[:, None] < ranks[None, :]", "ranks[:, None] > ranks[None, :]"),
    Mutant("ranking loss summed over pairs", O, "-logsigmoid(difference).sum() / count", "-logsigmoid(difference).sum()"),
    Mutant("ranking loss without its sign", O, "-logsigmoid(difference).sum()", "logsigmoid(difference).sum()"),
    Mutant("normalisers swapped", O, 'pairs if normaliser == "pairs"', 'pairs if normaliser != "pairs"'),
    Mutant("an equal score counts as wrong", O, "(difference.sign() + 1).mean() / 2", "(difference > 0).double().mean()"),
    Mutant("calibration with the wrong sign", O, "return -demonstration_scores.mean()", "return demonstration_scores.mean()"),
    Mutant("KL rewarded", O, "rewards = -kl_coef *", "rewards = kl_coef *"),
    Mutant("KL the other way round", O, "(logprobs - reference_logprobs)\n", "(reference_logprobs - logprobs)\n"),
    Mutant("score one token early", O, "lengths.cumsum(0) - 1, scores", "lengths.cumsum(0) - 2, scores"),
    Mutant("score at the first token", O, "lengths.cumsum(0) - 1, scores", "lengths.cumsum(0) - lengths, scores"),
    Mutant("a value after the end", O, "following_advantage = value.new_zeros(", "following_advantage = value.new_ones("),
    Mutant("advantage decays twice", O, "trace_decay * following_advantage", "trace_decay**2 * following_advantage"),
    Mutant("next value forgotten", O, "reward[:, t] + following_value - value", "reward[:, t] - value"),
    Mutant("returns without values", O, "returns=advantages + values", "returns=advantages"),
    Mutant("advantages not centred", O, "(values - values.mean()) *", "values *"),
    Mutant("advantages over the standard deviation twice", O, "torch.rsqrt(values.var(", "torch.reciprocal(values.var("),
    Mutant("optimistic policy loss", O, "loss = torch.maximum(-advantages", "loss = torch.minimum(-advantages"),
    Mutant("ratio upside down", O, "log_ratio = logprobs - behaviour_logprobs", "log_ratio = behaviour_logprobs - logprobs"),
    Mutant("one-sided clip", O, "clamp(1 - clip, 1 + clip)", "clamp(0, 1 + clip)"),
    Mutant("optimistic value loss", O, "torch.maximum(free_error", "torch.minimum(free_error"),
    Mutant("value loss not halved", O, "held_error) / 2, clip", "held_error), clip"),
    Mutant("value held around the return", O, "held = old_values +", "held = returns +"),
    Mutant("cosine falls to 0", O, "return final + (1 - final) *", "return (1 - final) *"),
    Mutant("warm-up one step ahead", O, "(1 - start) * iteration / iterations", "(1 - start) * (iteration + 1) / iterations"),
    Mutant("average and weights swapped", O, "torch.lerp(average, weights, 1 - decay)", "torch.lerp(average, weights, decay)"),
    Mutant("rollout scored at another temperature", R, "logprobs=models.policy.logprobs(sampled, temperature)", "logprobs=models.policy.logprobs(sampled)"),
    Mutant("the sampler's log-probabilities kept", R, "logprobs=models.policy.logprobs(sampled, temperature)", "logprobs=sampled.logprobs * 1.01"),
    Mutant("values are of the reward model's trunk", R, "values=models.value.values(sampled)", "values=models.value.values(sampled) * 0"),
    Mutant("cut-off responses called ended", R, '1 - sum(self.ended) / len(self.ended)', 'sum(self.ended) / len(self.ended)'),
    Mutant("KL per token", R, "sequence_sums(self.logprobs - self.reference_logprobs, self.lengths)", "sequence_sums(self.logprobs - self.reference_logprobs, self.lengths) / self.lengths"),
    Mutant("the penalty for no end goes to those that ended", P, "[not ended for ended in rollout.ended]", "[ended for ended in rollout.ended]"),
    Mutant("penalty added", P, "rollout.scores - config.missing", "rollout.scores + config.missing"),
    Mutant("advantages standardised over nothing", P, "advantages=standardise(part.advantages)", "advantages=part.advantages"),
    Mutant("minibatches not shuffled", P, "order = permutation(len(self), *key)", "order = list(range(len(self)))"),
    Mutant("warm-up counts updates", P, "update // self.updates)", "update)"),
    Mutant("the end token is never noticed", G, "ends = tokens == self.end", "ends = tokens == -1"),
    Mutant("a response one token too long", G, "self.limit - start)", "self.limit + 1 - start)"),
    Mutant("random numbers of the slot, not the sequence", G, "np.tile(self.sequences[self.row[slots]], number)", "np.tile(np.arange(len(self.row[slots])), number)"),
    Mutant("random numbers without a position", G, "(self.place[slots] + ahead).ravel()", "(0 * (self.place[slots] + ahead)).ravel()"),
    Mutant("temperature multiplies", D, "else logits / temperature", "else logits * temperature"),
    Mutant("a step counts from the wrong place", D, "return (places + 1).clamp(", "return (places + 2).clamp("),
    Mutant("a frozen model keeps its masters", M, "            self.forward.narrow()\n", "            pass\n"),
    Mutant("a frozen model's head is rounded", F, "        narrow(self.module.base_model, self._dtype)\n", "        narrow(self.module, self._dtype)\n"),
    Mutant("a frozen model is saved", M, "        if self._frozen:\n", "        if not self:\n"),
    Mutant("a later pass over prompts fills the first slots", G, "self.cache, [slots[i] for i in part])", "self.cache, slots[: len(part)])"),
    Mutant("recorded steps draw from one row", D, "self.number.add_(1)", "self.number.add_(0)"),
    Mutant("first tokens by another prompt's logits", G, "prompt_of[slots[i] - first] = read", "prompt_of[slots[i] - first] = 0"),
    Mutant("one token's key for a whole prompt", A, "starts.repeat_interleave(lengths) + place", "starts.repeat_interleave(lengths)"),
    Mutant("a cache takes its memory at once", A, 'if device.type != "cpu":', 'if device.type == "cpu":'),
    Mutant("keys and values of siblings swapped", N, "self.rest = tuple(rest)", "self.rest = tuple(reversed(rest))"),
    Mutant("kernels see the next token", C, "std::fill(s + left + seen, s", "std::fill(s + left + std::min(seen + 1, reach), s"),
    Mutant("kernels forget the window", C, "oldest = std::clamp<int64_t>(first_seen, 0, context.length);", "oldest = 0;"),
    Mutant("kernels forget the prompt's gradient", C, "s, 1, columns}, g, wide, context.value_grads.of(0), wide, true);", "s, 1, columns}, g, wide, context.value_grads.of(0), wide, false);"),
    Mutant("a decoding kernel does not see its own token", "engine/processor/cached.h", "seen = position + 1;", "seen = std::max<int64_t>(1, position);"),
    Mutant("a norm forgets its epsilon", K, "/ width + epsilon)", "/ width)"),
    Mutant("a norm's gradient forgets the mean", K, "load(line + j) * scale * mean) * scale", "load(line + j) * scale * splat(0)) * scale"),
    Mutant("a weight's gradient of one portion", K, "first += PORTION) {", "first += PORTION) if (first == 0) {"),
    Mutant("a gate's gradient without its slope", K, "(splat(1.0f) + x * (splat(1.0f) - open))", "splat(1.0f)"),
    Mutant("positions do not turn back", "engine/processor/parts.h", "(back ? high * sines[j + half] : -high * sines[j])", "(-high * sines[j])"),
    Mutant("the quantile counts from its block's end", W, "left -= sums[block++]", "left -= sums[++block]"),
    Mutant("log-probabilities without the temperature", W, "float(given[token] / divisor - best", "float(given[token] - best"),
    Mutant("what enters the head is rounded", B, "kind = _computing(hidden_states) if self.before_products else None", "kind = _computing(hidden_states)"),
    Mutant("a part that looks known is taken", "engine/choice.py", "        blocks.unfuse(module, kinds)\n", ""),
    Mutant("a part may forget its window", "engine/choice.py", "_error(expected, found) < PARITY and asked == windows", "_error(expected, found) < PARITY"),
    Mutant("the last layer adds other tokens", B, "hidden_states[0].index_select(0, rows)[None]", "hidden_states[:, : len(rows)]"),
    Mutant("the last layer is read as if it were whole", "engine/forward.py", "states if blocks.reads_few(self.module) else states.index_select(0, read)", "states[: len(read)]"),
    Mutant("dropout by the number of tokens read", L, "first.shape[1] < length", "first.shape[1] < 0"),
    Mutant("steps in one call are taken unseen", "engine/choice.py", "_error([expected], [found]) < PARITY and", ""),
    Mutant("a step may forget its window", "engine/choice.py", "[found]) < PARITY and found_windows == asked", "[found]) < PARITY"),
    Mutant("a step forgets the biases", Y, "w.bias ? load(", "w.bias && w.steps < 0 ? load("),
    Mutant("a step does not turn keys", Y, "h < d.heads + d.key_heads; h++", "h < d.heads; h++"),
    Mutant("a step norms keys as queries", Y, "w.of_keys, w.epsilon_of_keys", "w.of_queries, w.epsilon_of_queries"),
    Mutant("a step does not round what it adds", Y, "load(x) + rounded<Number>(left)", "load(x) + left"),
    Mutant("a step has no window", S, "window=window,", "window=None,"),
    Mutant("the target's gradient has the wrong sign", E, "* factor[:, 0] + torch.where(here", "* factor[:, 0] - torch.where(here"),
    Mutant("a target counts in every piece of the vocabulary", E, "torch.where(here, given[:, 0], 0.0)", "given[:, 0]"),
    Mutant("each micro-batch its own mean", L, "terms.loss.sum().backward()", "terms.loss.mean().backward()"),
    Mutant("the pretraining gradient unweighted", L, "gradient.mul_(weight / count)", "gradient.mul_(1 / count)"),
    Mutant("the second part replaces the first", L, "self._merged[name] = self._merged[name] + gradient", "self._merged[name] = gradient"),
    Mutant("gradients never clipped", L, "min(1.0, self.config.clip / (norm + 1e-6))", "1.0"),
    Mutant("positions start again in a branch", T, "torch.arange(width, width + length)", "torch.arange(length)"),
    Mutant("responses predicted by themselves", T, "torch.arange(first, first + length - 1)", "torch.arange(first + 1, first + length)"),
    Mutant("scores at the first token of a branch", T, "lasts.append(first + length - 1)", "lasts.append(first)"),
    Mutant("values after the token", M, "self.forward.states_before(part.prompts, part.responses))", "self.forward.states_before(part.prompts, part.responses).roll(-1, 0))"),
    Mutant("bias forgotten", M, "@ weight[0] + self.bias", "@ weight[0]"),
    Mutant("a piece of the vocabulary left out", E, "range(0, len(weight), width)", "range(0, max(1, len(weight) - width), width)"),
)  # fmt: skip

TESTS = tuple(
    f"tests/laws/test_{name}.py" for name in ("objectives", "rollout", "engine", "attention", "blocks", "stack")
)
# The tests that look at a file most closely come first; the others begin with the engine's.
FIRST = {O: 0, R: 1, P: 1, D: 3, N: 3, C: 3, B: 4, K: 4, W: 4, Y: 5, S: 5, "engine/choice.py": 4}


def start(mutant: Mutant, copy: Path) -> int:
    """The tests on a copy with the fault in it, in a child that need not load torch again; its process number."""
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    path = copy / "src" / "assent" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.what}: {mutant.old!r} stands {text.count(mutant.old)} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new))
    first = FIRST.get(mutant.file, 2)
    ordered = [TESTS[first], *(test for test in TESTS if test != TESTS[first])]
    child = os.fork()
    if child:
        return child
    code = 9
    try:
        with (copy / "log").open("w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.chdir(copy)
        sys.path[:0] = [str(copy / "src"), str(copy)]
        code = int(pytest.main(["-x", "-p", "no:xdist", "-m", "not slow", "--assert=plain", *ordered]))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def judged(mutant: Mutant, copy: Path, status: int) -> bool:
    """Whether some test failed; says which."""
    log = (copy / "log").read_text()
    if os.waitstatus_to_exitcode(status) not in (0, 1):  # 1: a test failed; anything else says nothing about the fault
        raise SystemExit(f"{mutant.what}: pytest could not run\n{log[-2000:]}")
    failed = [line.removeprefix("FAILED ") for line in log.splitlines() if line.startswith("FAILED")]
    verdict = "caught" if failed else "MISSED"
    print(f"{verdict:7s} {mutant.file:20s} {mutant.what:48s} {failed[0][:70] if failed else ''}", flush=True)
    return bool(failed)


def main() -> None:
    """Entry point."""
    torch.set_num_threads(1)
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.what for word in sys.argv[1:])]
    waiting, caught = list(reversed(chosen)), 0
    running: dict[int, tuple[Mutant, Path]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                mutant = waiting.pop()
                copy = Path(temporary) / str(len(waiting))
                running[start(mutant, copy)] = (mutant, copy)
            child, status = os.wait()
            mutant, copy = running.pop(child)
            caught += judged(mutant, copy, status)
            shutil.rmtree(copy)
    print(f"{caught} of {len(chosen)} mutants caught")
    sys.exit(caught < len(chosen))


if __name__ == "__main__":
    main()
