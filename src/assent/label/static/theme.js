// Every page: day or night, links that ask before they leave, forms that ask before they act, and what waits to be sent.

import * as outbox from "./outbox.js";
import { gettext, ngettext } from "./words.js";

const root = document.documentElement;
const button = document.getElementById("theme");
const night = matchMedia("(prefers-color-scheme: dark)");

// A choice travels as a cookie, so that the server's page has the right colours from the first moment.
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : night.matches);
const named = () => button?.setAttribute("aria-label", isDark() ? gettext("Light colours") : gettext("Dark colours"));
named();
night.addEventListener("change", named);
button?.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  named();
});

const leaving = document.getElementById("leaving");
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".text a[href]");
  if (!link || !leaving) return;
  event.preventDefault();
  leaving.querySelector("[data-where]").textContent = link.href;
  leaving.querySelector("a").href = link.href;
  leaving.showModal();
});
leaving?.querySelector("a").addEventListener("click", () => leaving.close());

for (const form of document.querySelectorAll("form[data-confirm]"))
  form.addEventListener("submit", (event) => confirm(form.dataset.confirm) || event.preventDefault());
for (const closer of document.querySelectorAll("dialog [data-close]"))
  closer.addEventListener("click", () => closer.closest("dialog").close());

const { person, slot } = document.body.dataset;
const waits = document.getElementById("waits");
async function drain() {
  if (!person) return;
  const { left, refused } = await outbox.drain(person, slot);
  if (!waits) return;
  waits.hidden = !left && !refused.length;
  waits.textContent = left
    ? ngettext(
        "%(count)s of your answers waits on this device and will be sent when the connection is back.",
        "%(count)s of your answers wait on this device and will be sent when the connection is back.",
        left,
      )
    : ngettext(
        "The server did not take %(count)s of your answers. It is kept on this device; open the task to see it.",
        "The server did not take %(count)s of your answers. They are kept on this device; open the task to see them.",
        refused.length,
      );
}
drain();
addEventListener("online", drain);
setInterval(drain, 20_000);
