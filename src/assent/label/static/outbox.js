// What has been done here and not yet been acknowledged by the server, kept in this browser's IndexedDB.
//
// One entry a task: {id, person, slot, document, version, dirty, refused, key, final}. `key` is made once per task and kept, so that
// a submission sent twice, from two tabs or after a crash, is one submission. `final` is {action, body}: what the person has
// decided (submit, skip, revise) and the server has not confirmed.

import { send, newKey, Refused } from "./server.js";

const memory = new Map(); // where IndexedDB is refused (some private windows): lives as long as the page
let opened = null;

export const isKept = () => opened !== false;

function open() {
  return new Promise((resolve) => {
    if (!globalThis.indexedDB) return resolve(null);
    const request = indexedDB.open("assent", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("work", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  });
}

async function within(mode, act, durability = "relaxed") {
  opened ??= open();
  const base = await opened;
  if (!base) return null;
  return new Promise((resolve, reject) => {
    const transaction = base.transaction("work", mode, { durability });
    const request = act(transaction.objectStore("work"));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

const id = (person, slot) => `${person}/${slot}`;

const fresh = (person, slot) => ({
  ...{ id: id(person, slot), person, slot, document: null, version: 0 },
  ...{ dirty: false, refused: false, key: newKey(), final: null },
});

/** The entry of a task, made when there is none. */
export async function entry(person, slot) {
  const found = (await within("readonly", (store) => store.get(id(person, slot)))) ?? memory.get(id(person, slot));
  return found ?? fresh(person, slot);
}

/** Keep an entry; a decision is on the disk when this returns, a draft soon after. */
export async function keep(entry) {
  memory.set(entry.id, entry);
  const act = (store) => store.put(entry);
  await within("readwrite", act, entry.final ? "strict" : "relaxed").catch(() => (opened = Promise.resolve(null)));
}

export async function forget(entry) {
  memory.delete(entry.id);
  await within("readwrite", (store) => store.delete(entry.id)).catch(() => {});
}

export async function all(person) {
  const stored = (await within("readonly", (store) => store.getAll())) ?? [...memory.values()];
  return stored.filter((entry) => entry.person === person);
}

/** Send what a person decided. Unreachable and SignedOut pass through, and the entry stays; a refusal takes the decision back. */
export async function deliver(entry) {
  try {
    const said = await send("POST", `/work/${entry.slot}/${entry.final.action}`, { key: entry.key, ...entry.final.body });
    await forget(entry);
    return said;
  } catch (error) {
    if (error instanceof Refused) {
      entry.final = null;
      await keep(entry);
    }
    throw error;
  }
}

/** Everything of this person that waits, sent once: how many wait still, and which tasks the server refused. */
export async function drain(person, except = "") {
  const found = { left: 0, refused: [] };
  for (const entry of await all(person)) {
    if (entry.slot === except) continue;
    try {
      if (entry.final) await deliver(entry);
      else if (entry.dirty && !entry.refused) {
        await send("PUT", `/work/${entry.slot}/draft`, { document: entry.document, version: entry.version });
        await forget(entry);
      } else if (!entry.dirty) await forget(entry);
      else found.refused.push(entry.slot);
    } catch (error) {
      if (!(error instanceof Refused)) found.left += 1;
      else {
        found.refused.push(entry.slot); // the text stays here; whoever opens the task again finds it
        await keep({ ...entry, final: null, dirty: true, refused: true });
      }
    }
  }
  return found;
}
