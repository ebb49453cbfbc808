// The desk of one demonstration: write, look at it as others will, send it.

import * as flags from "./flags.js";
import { Clock } from "./clock.js";
import { Desk, byId } from "./desk.js";
import { send } from "./server.js";
import { visible } from "./diff.js";
import { gettext, ngettext } from "./words.js";

const open = (draft) => ({
  response: draft?.response ?? "",
  prompt: draft?.prompt_flags ?? null,
  note: draft?.note ?? "",
});
const desk = new Desk({ open, write, paint });
const group = document.querySelector("[data-flags]");
let clock;
let isPreview = false;

function write(state) {
  const seconds = clock.read();
  const { response, prompt, note } = state;
  return { schema: desk.task.schema, response, ...(prompt ? { prompt_flags: prompt } : {}), note, seconds };
}

const isWhole = ({ response, prompt }) => response.trim() && prompt;

function paint() {
  const { state } = desk;
  for (const [id, value] of [["response", state.response], ["note", state.note]])
    if (byId(id).value !== value) byId(id).value = value;
  flags.show(group, state.prompt);
  const words = state.response.trim() ? state.response.trim().split(/\s+/).length : 0;
  const count = state.response.length;
  byId("size").textContent = [
    ngettext("%(count)s word", "%(count)s words", words),
    ngettext("%(count)s character", "%(count)s characters", count),
  ].join(", ");
  const missing = [state.prompt ? "" : gettext("the prompt's flags"), words ? "" : gettext("your answer")].filter(Boolean);
  byId("left").textContent = missing.length
    ? gettext("Left: %(parts)s", { parts: missing.join(", ") })
    : gettext("Ready to submit.");
  byId("submit").disabled = !isWhole(state) || desk.busy;
  byId("submit").textContent = desk.task.state === "submitted" ? gettext("Send the revision") : gettext("Submit");
}

/** Show the text as it is being written, or as the server will show it to others. */
async function turn(wanted) {
  isPreview = wanted;
  for (const [name, isShown] of [["write", !isPreview], ["preview", isPreview]]) {
    byId(`panel-${name}`).hidden = !isShown;
    byId(`tab-${name}`).setAttribute("aria-selected", String(isShown));
    byId(`tab-${name}`).tabIndex = isShown ? 0 : -1;
  }
  if (!isPreview) return byId("response").focus();
  const { response } = desk.state;
  byId("preview").textContent = visible(response);
  const said = await send("POST", "/preview", { text: response }).catch(() => null);
  if (said && isPreview) byId("preview").innerHTML = said.html; // made safe by the server, as everywhere
}

const submit = () => isWhole(desk.state) && desk.finish(write(desk.state));

byId("response").addEventListener("input", (event) =>
  desk.change((state) => ({ ...state, response: event.target.value })));
byId("note").addEventListener("input", (event) => desk.change((state) => ({ ...state, note: event.target.value })));
flags.listen((_, said) => desk.change((state) => ({ ...state, prompt: said })));
byId("submit").addEventListener("click", submit);
byId("tab-write").addEventListener("click", () => turn(false));
byId("tab-preview").addEventListener("click", () => turn(true));
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  turn(!isPreview);
  byId(isPreview ? "tab-preview" : "tab-write").focus();
});
document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || !(event.ctrlKey || event.metaKey)) return;
  const deed = { Enter: submit, e: () => turn(!isPreview) }[event.key];
  if (!deed) return;
  event.preventDefault();
  deed();
});

await desk.begin();
clock = new Clock(desk.begun?.seconds ?? 0);
paint();
byId("response").focus();
document.body.dataset.ready = "";
