// The ladder of tiers: drawn from a state, and three ways to move an output on it besides the keys:
// drag it by its handle (mouse, pen or finger; everywhere else a finger scrolls the page), or tap it and tap a tier.

import * as tiers from "./tiers.js";
import { gettext } from "./words.js";

const make = (name, attributes = {}, ...inside) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...inside);
  return element;
};

export class Board {
  /** outputs: key -> {letter, said}; act(function, ...arguments) changes the order; pick(key) puts an output in focus. */
  constructor(root, outputs, { act, pick }) {
    Object.assign(this, { root, outputs, act, pick, held: null });
    root.addEventListener("click", (event) => this.tapped(event));
    document.addEventListener("pointerdown", (event) => this.grabbed(event));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hold(null));
  }

  draw(order, ratings, current) {
    Object.assign(this, { order, ratings, current });
    const focused = this.root.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const waiting = tiers.waiting(order);
    const pool = make("div", { class: "pool", "data-tier": 0 }, this.into(0, waiting.length ? gettext("To be ranked") : gettext("All placed")));
    pool.append(...waiting.map((key) => this.token(key)));
    this.root.replaceChildren(pool, ...order.keys.map((_, place) => this.tier(place + 1)), this.gap(order.keys.length + 1));
    this.root.classList.toggle("carrying", Boolean(this.held));
    if (focused) this.root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  tier(number) {
    const word = { 1: gettext("best"), [this.order.keys.length]: gettext("worst") }[number];
    const tokens = make("div", { class: "tokens" }, ...tiers.members(this.order, number).map((key) => this.token(key)));
    const tier = make("div", { class: "tier", "data-tier": number }, this.into(number, String(number), word), tokens);
    tier.prepend(this.gap(number));
    return tier;
  }

  into(number, text, more) {
    const tier = gettext("Tier %(tier)s", { tier: number });
    const name = !number ? text : more ? `${tier}, ${more}` : tier;
    const attributes = { type: "button", class: "into", "data-into": number, "data-focus": `into-${number}` };
    const label = this.held
      ? gettext("%(place)s: put output %(letter)s here", { place: name, letter: this.outputs[this.held].letter })
      : name;
    return make("button", { ...attributes, "aria-label": label }, text, ...(more ? [make("small", {}, more)] : []));
  }

  gap(number) {
    const hidden = this.held ? {} : { tabindex: -1, "aria-hidden": "true" };
    const label =
      number > this.order.keys.length
        ? gettext("A tier of its own at the end")
        : gettext("A tier of its own above tier %(tier)s", { tier: number });
    return make("button", { type: "button", class: "gap", "data-gap": number, "aria-label": label, ...hidden });
  }

  token(key) {
    const { letter, said } = this.outputs[key];
    const attributes = { type: "button", "data-token": key, "data-focus": `token-${key}`, "aria-pressed": String(this.held === key) };
    const score = make("span", { class: "score" }, this.ratings[key] ? `${this.ratings[key]}/7` : "");
    const inside = [make("span", { class: "grip", "data-grip": key }), make("b", {}, letter), make("span", { class: "said" }, said), score];
    const tier = this.order.places[key];
    const label = tier
      ? gettext("Output %(letter)s, in tier %(tier)s", { letter, tier })
      : gettext("Output %(letter)s, to be ranked", { letter });
    const token = make("button", { ...attributes, class: "token", "aria-label": label }, ...inside);
    token.classList.toggle("current", key === this.current);
    return token;
  }

  hold(key) {
    if (this.held === key) return;
    this.held = key;
    this.draw(this.order, this.ratings, this.current);
  }

  tapped(event) {
    const target = event.target.closest("[data-token], [data-into], [data-gap]");
    if (!target || this.dragged) return;
    const { token, into, gap } = target.dataset;
    if (this.held && this.held !== token) return this.drop(this.held, token ? (this.order.places[token] ?? 0) : into, gap);
    if (!token) return this.current && into > 0 && this.drop(this.current, into);
    this.pick(token);
    this.hold(this.held === token ? null : token);
  }

  drop(key, tier, gap) {
    this.held = null;
    if (gap) this.act(tiers.insert, key, Number(gap));
    else if (Number(tier)) this.act(tiers.place, key, Number(tier));
    else this.act(tiers.lift, key);
  }

  grabbed(down) {
    const grip = down.target.closest?.("[data-grip]");
    const token = down.pointerType === "mouse" ? down.target.closest?.("[data-token]") : null;
    const key = grip?.dataset.grip ?? token?.dataset.token;
    if (!key || down.button !== 0 || document.body.dataset.step !== "rank") return;
    if (down.pointerType !== "mouse") down.preventDefault();
    this.dragged = false;
    this.carry(key, down);
  }

  /** Follow the pointer until it is let go; the tier or the gap under it is where the output goes. */
  carry(key, down) {
    const { letter, said } = this.outputs[key];
    const ghost = make("div", { class: "token ghost" }, make("b", {}, `\u2002${letter}`), make("span", { class: "said" }, said));
    const stop = new AbortController();
    const place = (event) => {
      if (!this.dragged && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < 5) return;
      if (!this.dragged) document.body.append(ghost);
      this.dragged = true;
      document.body.classList.add("dragging");
      this.root.classList.add("carrying");
      ghost.style.left = `${event.clientX + 10}px`; // set by script, which the policy allows; no style attribute is parsed
      ghost.style.top = `${event.clientY - 18}px`;
      this.root.querySelectorAll(".over").forEach((element) => element.classList.remove("over"));
      under(event)?.classList.add("over");
      scrollNear(event.clientY);
    };
    const end = (event, isDone) => {
      stop.abort();
      ghost.remove();
      document.body.classList.remove("dragging");
      const target = this.dragged && isDone ? under(event) : null;
      if (this.dragged) this.pick(key);
      if (target) this.drop(key, target.dataset.tier, target.dataset.gap);
      else if (this.dragged) this.draw(this.order, this.ratings, this.current); // not after a click: it needs its target
      setTimeout(() => (this.dragged = false));
    };
    const options = { signal: stop.signal };
    addEventListener("pointermove", (event) => event.pointerId === down.pointerId && place(event), options);
    addEventListener("pointerup", (event) => event.pointerId === down.pointerId && end(event, true), options);
    addEventListener("pointercancel", (event) => event.pointerId === down.pointerId && end(event, false), options);
    addEventListener("keydown", (event) => event.key === "Escape" && end(event, false), options);
  }
}

const under = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest(".gap, .tier, .pool") ?? null;

function scrollNear(y) {
  const edge = 70;
  if (y < edge + 50) scrollBy(0, -12);
  else if (y > innerHeight - edge - 40) scrollBy(0, 12);
}
