// The answer to one ranking task as a value: what has been said, what is missing, what will be sent. Pure.

import * as tiers from "./tiers.js";

/** A state from a draft or a stored answer; `keys` are the outputs in the order shown. */
export function open(keys, draft) {
  const ratings = Object.fromEntries(keys.map((key) => [key, draft?.ratings?.[key] ?? {}]));
  return { order: tiers.start(keys, draft?.ranks), ratings, prompt: draft?.prompt_flags ?? null, note: draft?.note ?? "" };
}

export const rate = (state, key, overall) => rated(state, key, { overall });
export const flag = (state, key, flags) =>
  key === "prompt" ? { ...state, prompt: flags } : rated(state, key, { flags });
export const order = (state, act, ...rest) => ({ ...state, order: act(state.order, ...rest) });
const rated = (state, key, said) => ({
  ...state,
  ratings: { ...state.ratings, [key]: { ...state.ratings[key], ...said } },
});

/** Ratings by output, of those rated. */
export const overalls = (state) =>
  Object.fromEntries(
    Object.entries(state.ratings).filter(([, one]) => one.overall).map(([key, one]) => [key, one.overall]),
  );

/** Outputs that lack a rating or a word on the flags; "prompt" when nothing was said about the prompt. */
export function unrated(state) {
  const lacking = state.order.keys.filter((key) => !state.ratings[key].overall || !state.ratings[key].flags);
  return state.prompt ? lacking : ["prompt", ...lacking];
}

export const isAlone = (state) => state.order.keys.length === 1; // a review: there is nothing to rank
export const isWhole = (state) => !unrated(state).length && (isAlone(state) || !tiers.waiting(state.order).length);

/** What the server is sent; as a draft the tiers keep their gaps, as an answer they have none. */
export function written(state, { schema, seconds, whole }) {
  const ratings = Object.entries(state.ratings).filter(([, one]) => one.overall || one.flags);
  return {
    schema,
    ratings: Object.fromEntries(ratings),
    ...(state.prompt ? { prompt_flags: state.prompt } : {}),
    ...(isAlone(state) ? {} : { ranks: whole ? tiers.ranks(state.order) : state.order.places }),
    note: state.note,
    seconds,
  };
}
