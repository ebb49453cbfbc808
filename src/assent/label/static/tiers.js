// Where each output stands. Pure: a state goes in, a state comes out, nothing is drawn and nothing is sent.
//
// A state is {keys, places, last}: `keys` are the outputs in the order shown, `places` maps an output to a tier from 1
// (best) to keys.length, and an output that is not in `places` has not been placed. Outputs of one tier are tied. Tiers may
// stay empty while somebody works; `ranks` closes the gaps. Nothing is ever placed but by one of the functions below.

export const start = (keys, places = {}) => {
  const kept = Object.entries(places).filter(([key, tier]) => keys.includes(key) && tier >= 1 && tier <= keys.length);
  return { keys, places: Object.fromEntries(kept), last: null };
};

const moved = (state, key, tier) => ({ ...state, places: { ...state.places, [key]: tier }, last: key });

/** The output in this tier, whatever else is there. */
export const place = (state, key, tier) =>
  state.keys.includes(key) && tier >= 1 && tier <= state.keys.length ? moved(state, key, tier) : state;

/** The output back among those that wait. */
export function lift(state, key) {
  const { [key]: _, ...places } = state.places;
  return { ...state, places, last: state.last === key ? null : state.last };
}

/** One tier better (by = -1) or worse (by = 1). */
export const shift = (state, key, by) => (key in state.places ? place(state, key, state.places[key] + by) : state);

/** Tied with the next better one; an output that waits is tied with the one placed last. */
export function tie(state, key) {
  if (!(key in state.places)) return state.last ? place(state, key, state.places[state.last]) : state;
  const better = Object.values(state.places).filter((tier) => tier < state.places[key]);
  return better.length ? place(state, key, Math.max(...better)) : state;
}

/** Out of a tie into a tier of its own, just below the one it shared. */
export function untie(state, key) {
  const tier = state.places[key];
  const shared = state.keys.some((other) => other !== key && state.places[other] === tier);
  return tier && shared ? insert(state, key, tier + 1) : state;
}

/** A tier of its own before tier `gap` (1 to keys.length + 1); the others make room, their order kept. */
export function insert(state, key, gap) {
  const others = lift(state, key).places;
  const taken = new Set(Object.values(others));
  let room = gap;
  while (taken.has(room)) room += 1;
  if (room <= state.keys.length) return moved(pushed(state, others, gap, room, 1), key, gap);
  room = gap - 1; // full to the bottom: there is room above, since one output has been taken out
  while (taken.has(room)) room -= 1;
  return moved(pushed(state, others, room + 1, gap, -1), key, gap - 1);
}

const pushed = (state, places, from, to, by) => ({
  ...state,
  places: Object.fromEntries(Object.entries(places).map(([key, tier]) => [key, tier >= from && tier < to ? tier + by : tier])),
});

/** Every output placed by its rating, best rating first: an order that somebody asked for, never one that is there. */
export function byRating(state, ratings) {
  const values = [...new Set(state.keys.map((key) => ratings[key]))].sort((a, b) => b - a);
  return state.keys.reduce((found, key) => place(found, key, values.indexOf(ratings[key]) + 1), { ...state, places: {} });
}

/** The outputs that wait, in the order shown. */
export const waiting = (state) => state.keys.filter((key) => !(key in state.places));

/** The outputs of a tier, in the order shown. */
export const members = (state, tier) => state.keys.filter((key) => state.places[key] === tier);

/** Ranks from 1 without gaps, ties equal; only of the outputs placed. */
export function ranks(state) {
  const used = [...new Set(Object.values(state.places))].sort((a, b) => a - b);
  return Object.fromEntries(
    state.keys.filter((key) => key in state.places).map((key) => [key, used.indexOf(state.places[key]) + 1]),
  );
}

/** Pairs [above, below] where the order says one thing and the ratings the other. */
export function contradictions(state, ratings) {
  const placed = state.keys.filter((key) => key in state.places && ratings[key]);
  return placed.flatMap((above) =>
    placed
      .filter((below) => state.places[above] < state.places[below] && ratings[above] < ratings[below])
      .map((below) => [above, below]),
  );
}
