// Two outputs side by side, whole, with the words marked that only one of them has.

import { differences, visible } from "./diff.js";
import { gettext } from "./words.js";

const byId = (id) => document.getElementById(id);
let shown = [];

export function showPair(pair) {
  shown = pair;
  draw();
  byId("comparing").showModal();
}

function draw() {
  const pieces = byId("words").checked
    ? differences(...shown.map((one) => one.text))
    : shown.map((one) => [{ text: one.text, own: false }]);
  byId("pair").replaceChildren(...shown.map((one, place) => column(one.letter, pieces[place])));
}

function column(letter, pieces) {
  const column = document.createElement("div");
  const title = document.createElement("h3");
  title.textContent = gettext("Output %(letter)s", { letter });
  const text = document.createElement("div");
  text.dir = "auto";
  for (const piece of pieces) {
    const part = document.createElement(piece.own ? "ins" : "span");
    part.textContent = visible(piece.text);
    text.append(part);
  }
  column.append(title, text);
  return column;
}

byId("words").addEventListener("change", draw);
