// One task's answer while it is being made: nothing that was typed is lost, nothing that was sent is sent twice.
//
// Every change goes to this browser's store at once and to the server within three seconds. Without a connection, or signed
// out, it waits here and is sent later. Two tabs of one task tell each other; a newer draft from elsewhere is a question
// for the person, never an overwriting.

import * as outbox from "./outbox.js";
import { send, newKey, Refused, SignedOut } from "./server.js";
import { signInHere } from "./signin.js";
import { gettext } from "./words.js";

const EVERY = 3000; // milliseconds between drafts sent
const PATIENCE = [2, 4, 8, 15, 30]; // seconds between attempts to send a decision

export class Keeper {
  /** task: {slot, person, draft, draft_version, state}; adopt(document) shows a document; show(state, words) tells how it stands. */
  constructor(task, { adopt, show, choose }) {
    Object.assign(this, { task, adopt, show, choose, saving: false, timer: 0, ended: false });
    this.channel = globalThis.BroadcastChannel ? new BroadcastChannel("assent") : null;
    this.channel?.addEventListener("message", ({ data }) => this.heard(data));
    addEventListener("online", () => this.save());
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => document.hidden && this.save());
  }

  /** What to begin with: {document, final}, from this browser where something waits in it, or else from the server. */
  async begin() {
    const { slot, person, draft, draft_version } = this.task;
    this.entry = await outbox.entry(person, slot);
    await navigator.storage?.persist?.().catch(() => {});
    if (this.entry.dirty || this.entry.final) {
      this.entry.refused = false;
      if (!this.entry.final) this.plan(0);
      return { document: this.entry.document ?? draft, final: this.entry.final };
    }
    if (this.task.state === "submitted") this.entry.key = newKey(); // a revision is another deed than the submission
    Object.assign(this.entry, { document: draft, version: draft_version });
    await outbox.keep(this.entry);
    return { document: draft, final: null };
  }

  /** Something was changed: keep it here now, and send it soon. */
  async changed(document) {
    if (this.ended) return;
    Object.assign(this.entry, { document, dirty: true });
    this.show("saving", gettext("Saving…"));
    this.plan(EVERY);
    if (this.keeping) return;
    this.keeping = true; // one write at a time; what was typed meanwhile is in the next
    for (let kept = null; kept !== this.entry.document && !this.ended; ) {
      kept = this.entry.document;
      await outbox.keep(this.entry);
    }
    this.keeping = false;
  }

  plan(wait) {
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      this.save();
    }, wait);
  }

  async save() {
    if (!this.entry?.dirty || this.saving || this.ended || this.task.state !== "open") return this.keptOnly();
    this.saving = true;
    const { document, version } = this.entry;
    this.entry.sent = JSON.stringify(document);
    try {
      const said = await send("PUT", `/work/${this.task.slot}/draft`, { document, version });
      this.entry.version = said.version;
      if (this.entry.document === document) this.entry.dirty = false;
      await outbox.keep(this.entry);
      this.channel?.postMessage({ slot: this.task.slot, document, version: said.version });
      this.show("saved", gettext("Saved"));
    } catch (error) {
      await this.troubled(error);
    } finally {
      this.saving = false;
      if (this.entry.dirty && !this.ended) this.plan(EVERY);
    }
  }

  /** After a submission there are no drafts on the server: what is being revised waits here until it is sent. */
  keptOnly() {
    if (this.entry?.dirty && this.task.state !== "open") this.show("saved", gettext("Kept on this device until you send it"));
  }

  async troubled(error) {
    if (error instanceof SignedOut) {
      this.show("offline", gettext("Signed out. Your work is kept on this device."));
      await signInHere(this.task.person);
    } else if (error instanceof Refused && error.status === 409 && (error.body?.draft ?? error.body?.document)) {
      await this.conflict(error.body);
    } else if (error instanceof Refused) {
      this.show("refused", error.message);
      this.ended = error.status === 404;
    } else {
      this.show("offline", gettext("No connection. Your work is kept on this device."));
    }
  }

  /** The server has a newer draft than the one this page began from: the person chooses. */
  async conflict({ draft, document = draft, version }) {
    this.entry.version = version;
    const theirs = JSON.stringify(document);
    if (theirs === JSON.stringify(this.entry.document)) this.take(document, version);
    else if (theirs !== this.entry.sent && (await this.choose())) this.take(document, version); // `sent` was from here
    await outbox.keep(this.entry);
  }

  take(document, version) {
    Object.assign(this.entry, { document, version, dirty: false });
    this.adopt(document);
    this.show("saved", gettext("Saved"));
  }

  /** The other tab has said something. */
  heard({ slot, document, version, ended }) {
    if (slot !== this.task.slot || !this.entry) return;
    if (ended && !this.ended) {
      this.ended = true;
      this.show("saved", gettext("Sent from another tab"));
      globalThis.document.dispatchEvent(new CustomEvent("assent:ended", { detail: ended }));
    } else if (!this.entry.dirty && version > this.entry.version) this.take(document, version);
  }

  /** Send a decision until the server has it. Resolves with the answer; throws Refused with the reason. */
  async finish(action, body) {
    this.ended = true;
    clearTimeout(this.timer);
    this.entry.final = { action, body };
    await outbox.keep(this.entry);
    for (let attempt = 0; ; attempt++) {
      this.show("saving", gettext("Sending…"));
      try {
        const said = await outbox.deliver(this.entry);
        this.channel?.postMessage({ slot: this.task.slot, ended: said.state });
        return said;
      } catch (error) {
        if (error instanceof Refused) {
          this.ended = false;
          this.show("refused", error.message);
          throw error;
        }
        await this.troubled(error);
        if (!(error instanceof SignedOut)) {
          this.show("offline", gettext("No connection. Kept on this device; it will be sent when the connection is back."));
          await pause(error.wait || PATIENCE[Math.min(attempt, PATIENCE.length - 1)]);
        }
      }
    }
  }

  /** A revision has been taken in; the next one is another deed. */
  async again(document) {
    this.ended = false;
    Object.assign(this.entry, { document, dirty: false, final: null, key: newKey() });
    await outbox.keep(this.entry);
    this.show("saved", gettext("Your revision is kept"));
  }

  leave() {
    if (this.entry?.dirty && !this.ended && this.task.state === "open") {
      const { document, version } = this.entry;
      outbox.keep(Object.assign(this.entry, { sent: JSON.stringify(document) }));
      send("PUT", `/work/${this.task.slot}/draft`, { document, version }, { keepalive: true }).catch(() => {});
    }
  }
}

/** Wait, but no longer than until the connection is back. */
const pause = (seconds) =>
  new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("online", done);
  });
