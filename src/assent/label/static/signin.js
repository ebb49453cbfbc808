// Signing in again without leaving the page: what is on the screen stays as it is.

import { send, Refused, SignedOut, Unreachable } from "./server.js";
import { gettext, ngettext } from "./words.js";

let waiting = null;

/** Ask for the password of `person` until the session is there again; one dialog however many ask. */
export function signInHere(person) {
  waiting ??= ask(person).finally(() => (waiting = null));
  return waiting;
}

function ask(person) {
  const dialog = document.getElementById("sign-in-again");
  const form = dialog.querySelector("form");
  const told = form.querySelector("[data-told]");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      const { password, code } = form.elements;
      try {
        await send("POST", "/session", { name: person, password: password.value, code: code.value });
        form.reset();
        dialog.close();
        resolve();
      } catch (error) {
        told.textContent = sentence(error);
        told.hidden = false;
      }
    };
  });
}

function sentence(error) {
  if (error instanceof SignedOut) return gettext("The password or the code is wrong.");
  if (error instanceof Refused) return error.message;
  if (error instanceof Unreachable && error.wait)
    return ngettext("Too many tries. Wait one minute.", "Too many tries. Wait %(count)s minutes.", Math.ceil(error.wait / 60));
  return gettext("The server cannot be reached; try again soon.");
}
