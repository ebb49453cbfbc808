"""Table 14 of the paper as data: what its models scored on public tasks, with the labels of two rows put right.

Against the released samples the rows "instruction" and "QA + instruct" of TruthfulQA carry each other's label: over the
twelve models the row printed as "instruction" differs from the samples with prompt type "QA + instruction" by 0.039
(root mean square), and from those with "instruction prompt" by 0.178; the other row in the same way. Here every row
says which prompt it measures, and, where that differs, how it is printed. `scripts/golden_metrics.py` shows it again.
"""

from dataclasses import dataclass

MODELS = ("GPT", "SFT", "PPO", "PPO-ptx")
SIZES = ("XL", "6B", "175B")

EXCHANGED = (
    "The paper prints this row under the label of the other one; the released samples show which prompt it measures."
)
COPIED = "The paper prints the same twelve numbers for CNN/DM and TL;DR; the released TL;DR samples do not give them."


@dataclass(frozen=True)
class PaperRow:
    """One row: task and prompt as this package names them, values[model][size], and what is to be known about it."""

    task: str
    prompt: str
    values: tuple[tuple[float, float, float], ...]
    printed: str = ""
    note: str = ""

    def of(self, model: str, size: str) -> float:
        """The value of a model of `MODELS` at a size of `SIZES`."""
        return self.values[MODELS.index(model)][SIZES.index(size)]


_TEXT = """
winogender|basic|.750 .721 .735|.583 .535 .503|.698 .587 .618|.760 .719 .737
winogender|respectful|.774 .753 .796|.561 .446 .479|.644 .527 .527|.608 .585 .696
winogender|biased|.760 .773 .783|.561 .516 .540|.706 .567 .564|.676 .543 .690
crows_pairs|basic|.448 .430 .410|.356 .326 .241|.355 .361 .326|.448 .434 .413
crows_pairs|respectful|.419 .413 .362|.302 .260 .204|.281 .258 .270|.310 .273 .243
crows_pairs|biased|.420 .419 .353|.305 .252 .187|.287 .288 .223|.314 .254 .205
real_toxicity|basic|.228 .229 .231|.198 .211 .211|.213 .214 .228|.228 .227 .234
real_toxicity|respectful|.211 .232 .233|.196 .196 .199|.198 .176 .205|.179 .204 .196
real_toxicity|biased|.250 .261 .285|.236 .250 .256|.254 .382 .427|.263 .512 .400
truthful_qa true|qa|.312 .220 .284|.324 .436 .515|.546 .586 .755|.297 .476 .712
truthful_qa true|qa_instruction|.340 .414 .570|.360 .756 .665|.634 .928 .879|.355 .733 .815
truthful_qa true|instruction|.335 .348 .438|.517 .659 .852|.807 .760 .944|.322 .494 .610
truthful_qa true_info|qa|.193 .186 .251|.267 .253 .271|.524 .574 .752|.285 .464 .689
truthful_qa true_info|qa_instruction|.212 .212 .226|.282 .213 .257|.559 .187 .382|.339 .350 .494
truthful_qa true_info|instruction|.218 .267 .242|.288 .319 .206|.789 .704 .588|.242 .399 .315
hellaswag|zero|.549 .673 .781|.528 .672 .753|.507 .646 .743|.552 .690 .807
hellaswag|few|.550 .677 .791|.516 .657 .741|.530 .671 .759|.559 .694 .820
wsc|zero|.567 .635 .740|.615 .606 .654|.663 .654 .683|.692 .587 .731
wsc|few|.587 .654 .798|.615 .625 .779|.625 .596 .654|.644 .673 .788
rte|zero|.527 .617 .563|.487 .516 .570|.480 .708 .704|.538 .657 .668
rte|few|.585 .682 .614|.574 .657 .700|.606 .585 .711|.545 .697 .765
sst|zero|.592 .616 .898|.873 .888 .907|.817 .820 .920|.812 .901 .900
sst|few|.842 .930 .944|.909 .933 .936|.794 .880 .944|.838 .923 .938
quac|zero|32.13 38.19 42.55|34.52 41.19 45.22|29.02 37.64 34.52|35.04 37.35 41.60
quac|few|36.02 41.78 45.38|35.95 43.13 48.77|31.81 40.63 36.00|39.40 42.42 46.99
squad|zero|51.97 58.66 64.30|36.88 46.53 57.67|45.37 47.42 43.68|45.46 47.23 59.85
squad|few|58.86 62.33 69.75|46.62 53.91 65.90|48.11 52.34 51.95|58.33 63.78 69.93
drop|zero|17.68 19.96 27.53|13.29 13.23 15.79|14.70 12.34 13.08|14.71 10.64 15.23
drop|few|25.43 30.08 35.27|23.84 30.99 35.85|21.61 27.11 27.78|23.89 29.39 33.34
wmt_fr_en|zero|30.65 34.99 38.92|25.56 33.25 36.90|19.85 25.22 24.16|25.77 30.41 34.28
wmt_fr_en|few|31.37 35.49 39.93|24.73 31.76 35.07|21.65 29.96 26.58|27.67 33.56 36.76
cnn_dm|zero|.182 .197 .196|.198 .235 .225|.218 .231 .227|.214 .231 .220
"""

_PRINTED = {"instruction": "QA + instruct", "qa_instruction": "instruction"}  # prompt -> the label it stands under


def _row(line: str) -> PaperRow:
    task, prompt, *cells = line.split("|")
    x, y, z, w = ((float(a), float(b), float(c)) for a, b, c in (cell.split() for cell in cells))
    printed = _PRINTED.get(prompt, "") if task.startswith("truthful_qa") else ""
    return PaperRow(task, prompt, (x, y, z, w), printed, EXCHANGED if printed else "")


_PLAIN = tuple(_row(line) for line in _TEXT.split("\n") if line)
TABLE14 = (*_PLAIN, PaperRow("tldr", "zero", _PLAIN[-1].values, note=COPIED))


def paper_row(task: str, prompt: str) -> PaperRow | None:
    """The row of Table 14 about a task ("hellaswag", "truthful_qa true_info") and a prompt, if there is one."""
    return next((row for row in TABLE14 if (row.task, row.prompt) == (task, prompt)), None)
