// Signing in again without leaving the page: what is on the screen stays as it is.

import { send, Refused } from "./server.js";

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
      try {
        await send("POST", "/sign-in/again", { name: person, password: form.elements.password.value });
        form.reset();
        dialog.close();
        resolve();
      } catch (error) {
        told.textContent = error instanceof Refused ? error.message : "The server cannot be reached; try again soon.";
        told.hidden = false;
      }
    };
  });
}
