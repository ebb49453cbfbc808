// The desk of one ranking task: what is on the page is drawn from one state; every act makes a new state.

import * as answer from "./answer.js";
import * as tiers from "./tiers.js";
import * as flags from "./flags.js";
import * as keys from "./keys.js";
import { Board } from "./board.js";
import { Clock } from "./clock.js";
import { Desk, byId, reveal } from "./desk.js";
import { showPair } from "./pair.js";
import { gettext, ngettext } from "./words.js";

const desk = new Desk({ open: (draft) => answer.open(outputs, draft), write, adopted: () => paint(), paint });
const { task } = desk;
const cards = [...document.querySelectorAll(".card")];
const outputs = cards.map((card) => card.dataset.output);
const letters = Object.fromEntries(cards.map((card) => [card.dataset.output, card.dataset.letter]));
const stops = ["prompt", ...outputs]; // where J and K go
const pinned = [];
let current = "prompt";
let clock;

const board = new Board(
  byId("ladder"),
  Object.fromEntries(cards.map((card) => [card.dataset.output, { letter: card.dataset.letter, said: excerpt(card) }])),
  { act: (...deed) => desk.change((state) => answer.order(state, ...deed)), pick: (key) => focus(key, false) },
);

function excerpt(card) {
  return task.texts[card.dataset.output].trim().replace(/\s+/g, " ").slice(0, 60) || gettext("(empty)");
}

function write(state, whole) {
  return answer.written(state, { schema: task.schema, seconds: clock.read(), whole });
}

const element = (key) => document.querySelector(`[data-output="${CSS.escape(key)}"]`);
const isRanking = () => document.body.dataset.step === "rank";
const isAlone = outputs.length === 1;
const act = (deed, ...rest) => current !== "prompt" && desk.change((state) => answer.order(state, deed, current, ...rest));

// -- what is seen ---------------------------------------------------------------------------------------------------

function paint() {
  const { state } = desk;
  const overall = answer.overalls(state);
  for (const card of cards) paintCard(card, state, card.dataset.output);
  flags.show(element("prompt").querySelector("[data-flags]"), state.prompt);
  for (const key of stops) element(key).classList.toggle("current", key === current);
  board.draw(state.order, overall, current);
  if (byId("note").value !== state.note) byId("note").value = state.note;
  paintDoubts(state, overall);
  paintFoot(state);
}

function paintCard(card, state, key) {
  const { overall, flags: said } = state.ratings[key];
  const tier = state.order.places[key];
  for (const input of card.querySelectorAll(".rating input")) input.checked = Number(input.value) === overall;
  for (const input of card.querySelectorAll(".placing input")) input.checked = Number(input.value) === tier;
  const group = card.querySelector("[data-flags]");
  flags.show(group, said ?? null);
  const anchor = card.querySelector(`.rating input[value="${overall}"]`)?.closest(".notch").title ?? "";
  card.querySelector("[data-anchor]").textContent = anchor;
  const raised = Object.values(said ?? {}).filter((value) => value === true).length;
  const parts = [
    overall ? gettext("Rated %(rating)s", { rating: overall }) : "",
    raised ? ngettext("%(count)s flag", "%(count)s flags", raised) : "",
  ];
  if (isRanking() && tier) parts.push(gettext("tier %(tier)s", { tier }));
  card.querySelector("[data-summary]").textContent = parts.filter(Boolean).join(" · ");
  card.querySelector("[data-pin]").setAttribute("aria-pressed", String(pinned.includes(key)));
}

function paintDoubts(state, overall) {
  const doubts = isRanking() ? tiers.contradictions(state.order, overall) : [];
  const shown = doubts.slice(0, 4).map(([above, below]) => {
    const line = document.createElement("li");
    const said = { above: letters[above], below: letters[below], lower: overall[above], higher: overall[below] };
    line.textContent = gettext("%(above)s stands above %(below)s, yet you rated it lower (%(lower)s against %(higher)s).", said);
    return line;
  });
  byId("doubts").replaceChildren(...shown);
}

function paintFoot(state) {
  const unrated = answer.unrated(state);
  const waiting = tiers.waiting(state.order);
  const name = (key) => (key === "prompt" ? gettext("the prompt's flags") : letters[key]);
  const rated = isAlone ? gettext("Ready to submit.") : gettext("All rated");
  const rating = unrated.length ? gettext("Left to rate: %(outputs)s", { outputs: unrated.map(name).join(", ") }) : rated;
  const ranking = waiting.length
    ? gettext("Left to rank: %(outputs)s", { outputs: waiting.map(name).join(", ") })
    : gettext("All ranked. Ready to submit.");
  byId("left").textContent = unrated.length && isRanking() ? `${rating}. ${ranking}` : isRanking() ? ranking : rating;
  byId("step").textContent = isRanking() ? gettext("Back to rating") : gettext("Rank them");
  byId("step").disabled = !isRanking() && unrated.length > 0;
  byId("step").classList.toggle("primary", !isRanking());
  byId("submit").hidden = !isRanking() && !isAlone;
  byId("submit").disabled = !answer.isWhole(state) || desk.busy;
  byId("submit").textContent = task.state === "submitted" ? gettext("Send the revision") : gettext("Submit");
  byId("undo").disabled = !desk.past.length;
  byId("compare").disabled = pinned.length !== 2;
}

function focus(key, isMoved = true) {
  current = key;
  paint();
  if (!isMoved) return;
  element(key).focus({ preventScroll: true });
  reveal(element(key));
}

const tell = (words) => (byId("told").textContent = words);

// -- what can be done -----------------------------------------------------------------------------------------------

function turn() {
  if (isAlone) return;
  if (!isRanking() && answer.unrated(desk.state).length) return tell(byId("left").textContent);
  document.body.dataset.step = isRanking() ? "rate" : "rank";
  if (isRanking() && current === "prompt") current = outputs[0];
  focus(current);
  tell(
    isRanking()
      ? gettext("Ranking: digits put the output in focus into a tier.")
      : gettext("Rating: digits rate the output in focus."),
  );
}

function pin(key = current) {
  if (key === "prompt" || isAlone) return;
  if (pinned.includes(key)) pinned.splice(pinned.indexOf(key), 1);
  else if (pinned.push(key) > 2) pinned.shift();
  paint();
}

function compare() {
  if (pinned.length === 2) showPair(pinned.map((key) => ({ letter: letters[key], text: task.texts[key] })));
}

function none() {
  const group = element(current).querySelector("[data-flags]");
  desk.change((state) => answer.flag(state, current, flags.none(group)));
}

function placed(tier) {
  if (current === "prompt" || tier > outputs.length) return;
  act(tiers.place, tier);
  const ties = tiers.members(desk.state.order, tier).filter((key) => key !== current).map((key) => letters[key]);
  const said = { letter: letters[current], tier, others: ties.join(", ") };
  tell(
    ties.length
      ? gettext("%(letter)s in tier %(tier)s, tied with %(others)s.", said)
      : gettext("%(letter)s in tier %(tier)s.", said),
  );
}

const submit = () => answer.isWhole(desk.state) && (isRanking() || isAlone) && desk.finish(write(desk.state, true));

keys.listen({
  isRanking, turn, pin, compare, none, submit,
  place: placed,
  rate: (value) => value >= 1 && value <= 7 && current !== "prompt" && desk.change((state) => answer.rate(state, current, value)),
  move: (by) => focus(stops[Math.min(Math.max(stops.indexOf(current) + by, 0), stops.length - 1)]),
  back: () => focus(current),
  flags: () => element(current).querySelector("[data-flags] input").focus(),
  tie: () => act(tiers.tie), untie: () => act(tiers.untie), lift: () => act(tiers.lift), shift: (by) => act(tiers.shift, by),
  undo: () => desk.undo(), view: () => desk.view(), help: () => byId("help").showModal(),
}); // prettier-ignore

for (const card of cards) {
  const key = card.dataset.output;
  card.addEventListener("focusin", () => current !== key && focus(key, false));
  card.addEventListener("pointerdown", () => current !== key && focus(key, false));
  card.querySelector(".rating").addEventListener("change", (event) =>
    desk.change((state) => answer.rate(state, key, Number(event.target.value))));
  card.querySelector(".placing").addEventListener("change", (event) => placed(Number(event.target.value)));
  card.querySelector("[data-pin]").addEventListener("click", () => pin(key));
}
element("prompt").addEventListener("focusin", () => current !== "prompt" && focus("prompt", false));
flags.listen((group, said) => {
  const key = group.closest("[data-output]").dataset.output;
  desk.change((state) => answer.flag(state, key, said));
});
byId("note").addEventListener("input", (event) => desk.change((state) => ({ ...state, note: event.target.value })));
byId("step").addEventListener("click", turn);
byId("submit").addEventListener("click", submit);
byId("undo").addEventListener("click", () => desk.undo());
byId("compare").addEventListener("click", compare);
byId("by-rating").addEventListener("click", () =>
  desk.change((state) => answer.order(state, tiers.byRating, answer.overalls(state))));

await desk.begin();
clock = new Clock(desk.begun?.seconds ?? 0);
if (!answer.unrated(desk.state).length && !isAlone) document.body.dataset.step = "rank";
focus(isRanking() ? outputs[0] : "prompt", false);
element(current).focus({ preventScroll: true });
document.body.dataset.ready = "";
