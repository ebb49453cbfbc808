// Talking to the server: JSON in, JSON out, and three ways in which it can fail.

import { gettext } from "./words.js";

/** The server has said no, and why: `status`, `body`. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.detail ?? gettext("The server refused (%(status)s).", { status }));
    Object.assign(this, { status, body });
  }
}
/** Nobody is signed in any more. */
export class SignedOut extends Error {}
/** The server could not be reached or could not answer; asking again later is right. `wait` is in seconds. */
export class Unreachable extends Error {
  constructor(wait = 0) {
    super(gettext("The server cannot be reached."));
    this.wait = wait;
  }
}

const LATER = new Set([408, 425, 429, 500, 502, 503, 504, 507]);

export async function send(method, path, body, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: "manual",
      signal: AbortSignal.timeout(options.timeout ?? 20_000),
      keepalive: options.keepalive ?? false,
    });
  } catch {
    throw new Unreachable();
  }
  if (answer.status === 401 || answer.type === "opaqueredirect") throw new SignedOut();
  if (LATER.has(answer.status)) throw new Unreachable(Number(answer.headers.get("Retry-After")) || 0);
  const said = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

/** A key that makes one deed repeatable; also where pages are served without https. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
