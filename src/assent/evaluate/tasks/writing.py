"""Tasks answered by writing: translation, summaries, sums, pronouns."""

import re

from assent.data.turns import RowError
from assent.evaluate.tasks import measures
from assent.evaluate.tasks.shapes import referenced, zero_and_few
from assent.evaluate.tasks.task import Fields, Item, Task, Unused

SAME_PROMPT = "unused: the same prompt again"


def once(items: list[Item]) -> tuple[list[Item], list[tuple[Item, str]]]:
    """Each prompt once: files of released samples repeat it for every model."""
    first: dict[str, Item] = {}
    for item in items:
        first.setdefault(item.query, item)
    return list(first.values()), [(item, SAME_PROMPT) for item in items if first[item.query] is not item]


# -- translation ---------------------------------------------------------------------------------------------------


def _wmt(row: Fields) -> Item:
    if row.has("prompt"):
        query, references = row.text("prompt").rstrip(), row.texts("references", "ref_text")
    else:
        both = row.row["translation"] if isinstance(row.row.get("translation"), dict) else row.row
        pair = Fields(both, row.line)
        query = f"French: {pair.text('fr', 'french', 'source', 'src').strip()}\nEnglish:"
        references = pair.texts("en", "english", "target", "ref", "reference")
    return referenced(row, "wmt", query, references[:1])


WMT = Task(
    name="wmt_fr_en",
    title="WMT15 fr-en",
    form="write",
    files=("wmt_fr_en.jsonl.gz", "wmt_fr_en.jsonl", "wmt_fr_en.tsv", "instructgpt_samples_fr_to_en.jsonl.gz"),
    read=_wmt,
    gather=once,
    measure=measures.nothing,
    corpus="bleu",
    headline="bleu",
    prompts=zero_and_few(15, "Translate the following sentences from French into English."),
    limit=128,
    paper={"bleu": "wmt_fr_en"},
    paper_n=1500,
)


# -- summaries -----------------------------------------------------------------------------------------------------


def _cnn_dm(row: Fields) -> Item:
    article = row.text("article", "document", "prompt").strip()
    article = re.sub(r"\A[^\n]*summary of the following news article\?\s*Article:\s*", "", article)  # a template's
    reference = row.text("highlights", "summary", "reference").strip()
    return referenced(row, "cnndm", f"{article}\n\nTL;DR:", (reference,))


CNN_DM = Task(
    name="cnn_dm",
    title="CNN/DM",
    form="write",
    files=("cnn_dm_summaries.jsonl.gz", "cnn_dm.jsonl.gz", "cnn_dm.jsonl"),
    read=_cnn_dm,
    gather=once,
    measure=measures.summary,
    headline="rouge_l",
    limit=128,
    paper={"rouge_l": "cnn_dm"},
    paper_n=2354,
)


def _tldr(row: Fields) -> Item:
    post = row.text("post", "content", "prompt").strip().removesuffix("TL;DR:").rstrip()
    if row.has("references"):
        reference = "|".join(row.listed("references"))  # one summary of several sentences, see `released`
    else:
        reference = row.text("summary", "label", "ref_text", "completion").strip()
    if not reference.strip():
        raise RowError("summary", "empty; give it a text, or leave the row out")
    return referenced(row, "tldr", f"{post}\n\nTL;DR:", (reference,))


TLDR = Task(
    name="tldr",
    title="TL;DR",
    form="write",
    files=("tldr.jsonl.gz", "tldr.jsonl", "instructgpt_samples_tldr.jsonl.gz"),
    read=_tldr,
    gather=once,
    measure=measures.summary,
    headline="rouge_l",
    limit=128,
    paper={"rouge_l": "tldr"},
    paper_n=2500,
)


# -- sums ----------------------------------------------------------------------------------------------------------


def _gsm8k(row: Fields) -> Item:
    answer = row.text("answer")
    worked, _, final = answer.partition("####")
    final = str(row.row.get("final") or final).strip()
    if not measures.last_number(final):
        raise RowError("answer", "no number after ####; end the answer with `#### NUMBER`")
    steps = re.sub(r"<<.*?>>", "", worked).strip().replace("\n", " ")
    return Item(
        id=row.identity("gsm8k"),
        query=f"Question: {row.text('question').strip()}\nAnswer:",
        answer=f" {steps} The answer is {final}.",
        references=(final,),
    )


GSM8K = Task(
    name="gsm8k",
    title="GSM8K",
    form="write",
    files=("gsm8k_test.jsonl.gz", "gsm8k_test.jsonl", "test.jsonl"),
    read=_gsm8k,
    measure=measures.final,
    headline="accuracy",
    prompts=zero_and_few(8),
    limit=160,
    departure="not among the paper's tasks; steps on one line, the last number counts",
)


# -- pronouns ------------------------------------------------------------------------------------------------------

EXAM = (
    "Final Exam with Answer Key\n"
    "Instructions: Please carefully read the following passages. For each passage, you must identify which noun the "
    "pronoun marked in bold refers to."
)
BLANK = re.compile(r"\s*\[MASK\]\s*")


def _wsc(row: Fields) -> Item:
    if isinstance(row.row.get("target"), dict) or row.has("span2_text"):
        return _wsc_of_superglue(row)
    text, candidates, answer = row.text("text"), row.texts("candidates"), row.text("answer")
    if answer not in candidates:
        raise RowError("answer", f"{answer!r} is none of the candidates; correct the row")
    if not BLANK.search(text):
        raise RowError("text", "no [MASK] where the pronoun stood; mark its place")
    passage = BLANK.sub(" **[MASK]** ", text).strip()
    return _noun(row, passage, "[MASK]", candidates, candidates.index(answer))


def _wsc_of_superglue(row: Fields) -> Item:
    """A row names one candidate and says whether it is right: only rows with a right one can be an example.

    Its spans are under `target`, on the hub in columns of their own, where -1 is a label that is not published.
    """
    target, words = Fields(row.row.get("target") or row.row, row.line), row.text("text").split()
    candidate, pronoun, place = target.text("span1_text"), target.text("span2_text"), target.whole("span2_index")
    if row.row.get("label") in (None, -1):
        raise Unused("the test set, whose labels are not published")
    if place >= len(words) or pronoun.split()[0] not in words[place]:
        raise RowError("target.span2_index", f"word {place} is not {pronoun!r}; count words from 0")
    words[place] = words[place].replace(pronoun, f"**{pronoun}**")
    return _noun(row, " ".join(words), pronoun, (candidate,), 0 if row.get("label") else -1)


def _noun(row: Fields, passage: str, pronoun: str, candidates: tuple[str, ...], right: int) -> Item:
    question = f'In the passage above, what does the pronoun "{pronoun}" refer to?'
    return Item(
        id=row.identity("wsc"),
        query=f"Passage: {passage}\nQuestion: {question}\nAnswer:",
        answer=f" {candidates[right]}" if right >= 0 else "",
        choices=candidates,
        right=(right,) if right >= 0 else (),
    )


WSC = Task(
    name="wsc",
    title="WSC",
    form="write",
    files=("wsc.jsonl", "WSC/val.jsonl", "wsc273.jsonl"),
    read=_wsc,
    measure=measures.noun,
    headline="accuracy",
    prompts=zero_and_few(15, EXAM),
    limit=16,
    paper={"accuracy": "wsc"},
    paper_n=104,
    departure="WSC273 with its pronouns masked has [MASK] where the paper has the pronoun in bold",
)
