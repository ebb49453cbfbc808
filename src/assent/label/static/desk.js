// What the two desks (rank, write) share: one state with its past, drafts, skipping, sending, and going on to the next task.

import { Keeper } from "./drafts.js";
import { send, Refused } from "./server.js";
import { gettext } from "./words.js";

export const byId = (id) => document.getElementById(id);
const PAST = 200; // acts that can be undone

/** Bring an element below the bar (and the prompt, where that is sticky) without more movement than needed. */
export function reveal(element) {
  const { top, bottom } = element.getBoundingClientRect();
  const foot = document.querySelector(".foot")?.offsetHeight ?? 0;
  if (top < 100 || bottom > innerHeight - foot) element.scrollIntoView({ block: "start", behavior: "instant" });
}

export class Desk {
  /** open(draft) -> state; write(state, whole) -> document; paint() draws desk.state. */
  constructor(ways) {
    this.ways = ways;
    this.task = { ...JSON.parse(document.body.dataset.task), person: document.body.dataset.person };
    Object.assign(this, { past: [], busy: false, ended: false });
    this.keeper = new Keeper(this.task, {
      adopt: (document) => this.adopt(document),
      show: (state, words) => Object.assign(byId("state"), { textContent: words }).setAttribute("data-state", state),
      choose: chooseNewer,
    });
    this.listen();
  }

  async begin() {
    const { document, final } = await this.keeper.begin();
    this.begun = document;
    this.state = this.ways.open(document);
    if (this.task.state === "frozen") this.close(gettext("This batch is frozen: what was answered stands."), "frozen");
    if (final) this.finish(final.body.document, final.action, final.body);
  }

  /** One act: a new state, drawn, and kept. */
  change(act) {
    if (this.ended || this.busy) return;
    const next = act(this.state);
    if (next === this.state) return;
    this.past = [...this.past, this.state].slice(-PAST);
    this.become(next);
  }

  undo() {
    if (this.past.length && !this.ended && !this.busy) this.become(this.past.pop());
  }

  become(state) {
    this.state = state;
    this.ways.paint();
    this.keeper.changed(this.ways.write(state, false));
  }

  adopt(document) {
    this.past = [];
    this.state = this.ways.open(document);
    this.ways.paint();
  }

  async finish(document, action = this.task.state === "submitted" ? "revise" : "submit", body = { document }) {
    if (this.busy || this.ended) return;
    this.busy = true;
    this.ways.paint();
    try {
      const said = await this.keeper.finish(action, body);
      if (action !== "revise") return await this.goOn(said.state);
      await this.keeper.again(document);
      this.busy = false;
      this.past = [];
      this.ways.paint();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.busy = false;
      this.ways.paint();
    }
  }

  async goOn(state) {
    this.close(state === "skipped" ? gettext("Skipped.") : gettext("Sent. Thank you."), "ended");
    if (this.task.practice && state !== "skipped") return location.assign(`/practice/${this.task.slot}`);
    const next = await send("POST", "/work/claim", {}).catch(() => null);
    location.assign(next?.task ? `/task/${next.task.slot}` : "/");
  }

  close(words, kind) {
    this.ended = true;
    document.body.classList.add(kind);
    byId("left").hidden = true;
    Object.assign(byId("done"), { hidden: false, textContent: words });
  }

  /** On a narrow screen: the whole prompt over the outputs, for as long as it is wanted. */
  peek(isOpen) {
    document.querySelector(".prompt").classList.toggle("peek", isOpen);
    byId("peek").setAttribute("aria-expanded", String(isOpen));
  }

  view() {
    const isRaw = byId("view").getAttribute("aria-pressed") !== "true";
    byId("view").setAttribute("aria-pressed", String(isRaw));
    for (const text of document.querySelectorAll("[data-view]")) text.hidden = (text.dataset.view === "raw") !== isRaw;
  }

  listen() {
    const skip = byId("skip");
    const reason = () => skip.querySelector("[name=reason]:checked")?.value;
    const ask = (chosen) => {
      for (const input of skip.querySelectorAll("[name=reason]")) input.checked = input.value === chosen;
      skip.querySelector("[data-personal]").hidden = reason() !== "personal_data";
      skip.showModal();
    };
    skip.addEventListener("change", () => (skip.querySelector("[data-personal]").hidden = reason() !== "personal_data"));
    skip.querySelector("form").addEventListener("submit", () =>
      this.finish(null, "skip", { reason: reason(), note: byId("skip-note").value }));
    byId("skip-open").addEventListener("click", () => ask(null));
    byId("personal").addEventListener("click", () => ask("personal_data"));
    byId("view").addEventListener("click", () => this.view());
    byId("help-open").addEventListener("click", () => byId("help").showModal());
    byId("peek").addEventListener("click", () => this.peek(!document.querySelector(".prompt.peek")));
    byId("peek").closest("main").addEventListener("pointerdown", (event) =>
      event.target.closest(".prompt, #peek") || this.peek(false));
    document.addEventListener("assent:ended", () => this.close(gettext("Sent from another tab."), "ended"));
    addEventListener("pageshow", (event) => event.persisted && location.reload()); // after "back": how the task stands now
  }
}

function chooseNewer() {
  const dialog = byId("newer");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  return new Promise((resolve) => {
    for (const button of dialog.querySelectorAll("[data-keep]"))
      button.onclick = () => {
        dialog.close();
        resolve(button.dataset.keep === "theirs");
      };
  });
}
