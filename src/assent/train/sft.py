"""Step 1, supervised fine-tuning (section 3.5, appendix C.1), and PPO-init (C.3), which is the same with a mix.

SFT: 16 epochs over the demonstrations with residual dropout; the model of every epoch is kept, and the best by
reward-model score is chosen afterwards (select.py). PPO-init: 2 epochs with a tenth of the rows from the pretraining
set; it is where reinforcement learning starts and what its KL penalty refers to. Only responses are learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from assent.engine.batches import TextBatch
from assent.engine.encode import TextItem, text_batch
from assent.engine.learner import Learner, Optimiser
from assent.engine.models import LanguageModel
from assent.engine.stream import MixedStream, Stream
from assent.engine.text import Limits
from assent.objectives import TextTerms, cosine_to, next_token_loss, warmup_from
from assent.run import Run
from assent.train.invariants import check_ends_are_learned


@dataclass(frozen=True, kw_only=True)
class SFTConfig:
    """Defaults: the 1.3B and 6B models of appendix C.1.

    final_learning_rate: share of the peak at the end of the cosine. pretrain_fraction: share of rows that are
    pretraining text (C.3: 0.1). warmup_steps: not in the paper's fine-tuning; for training from scratch.
    """

    epochs: float = 16
    batch: int = 32
    optimiser: Optimiser = Optimiser(learning_rate=9.65e-6)
    final_learning_rate: float = 0.1
    residual_dropout: float = 0.2
    pretrain_fraction: float = 0.0
    warmup_steps: int = 0
    limits: Limits = field(default_factory=Limits)
    seed: int = 0


def next_token(model: LanguageModel, part: TextBatch) -> TextTerms:
    """The next-token loss of a model on a micro-batch."""
    return next_token_loss(model.logprobs(part))


def train(
    config: SFTConfig,
    run: Run,
    policy: LanguageModel,
    items: Sequence[TextItem],
    pretraining: Sequence[TextItem] = (),
    validation: Sequence[TextItem] = (),
) -> None:
    """Fine-tune `policy` on `items`; exports the model of every epoch, and the last as `model`."""
    check_ends_are_learned(policy, items)
    texts = Stream(pretraining or items, config.batch, config.seed + 1)
    stream = MixedStream(Stream(items, config.batch, config.seed), texts, config.pretrain_fraction, config.epochs)
    ends = {stream.end_of_pass(n): n for n in range(1, int(config.epochs) + 1)}

    def schedule(update: int) -> float:
        warm = warmup_from(0.0, config.warmup_steps, update + 1)
        return warm * cosine_to(config.final_learning_rate, update / stream.total)

    learner = Learner(policy, config.optimiser, schedule, dropout=config.residual_dropout, seed=config.seed)
    for step in run.steps(stream.total, learner):
        with run.phase("update"):
            measured = learner.backward(next_token, text_batch(stream[step])) | learner.step()
        if epoch := ends.get(step):
            with run.phase("validation"):
                measured |= validate(policy, validation)
            run.export(policy.save, f"epochs/{epoch}")
        run.log(step, measured)
    run.results(validate(policy, validation))
    run.export(policy.save)
    run.finish()


@torch.no_grad()
def validate(policy: LanguageModel, items: Sequence[TextItem]) -> dict[str, float]:
    """Mean loss per learned token on held-out items; nothing when there are none."""
    return {"validation/loss": -float(policy.logprobs(text_batch(items)).mean())} if items else {}
