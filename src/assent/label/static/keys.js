// The keys of the ranking desk. A key means one thing at one time: digits rate while rating and rank while ranking.

const TEXT = "input:not([type=radio], [type=checkbox]), textarea, select";

/** do: what each key does, by name. */
export function listen(desk) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return taken(event, desk.submit);
    if (event.key === "Escape" && event.target.closest(TEXT + ", input")) return taken(event, desk.back);
    if (event.target.closest(TEXT) || event.ctrlKey || event.metaKey || event.altKey) return;
    const deed = meaning(event.key, desk);
    if (deed) taken(event, deed);
  });
}

function taken(event, deed) {
  event.preventDefault();
  deed();
}

function meaning(key, desk) {
  const always = {
    j: () => desk.move(1), k: () => desk.move(-1), g: desk.turn, v: desk.view,
    p: desk.pin, d: desk.compare, z: desk.undo, "?": desk.help,
  }; // prettier-ignore
  const rating = { n: desk.none, f: desk.flags };
  const ranking = {
    "=": desk.tie, t: desk.tie, "-": desk.untie, u: desk.untie,
    w: () => desk.shift(-1), s: () => desk.shift(1), x: desk.lift,
  }; // prettier-ignore
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (/^[0-9]$/.test(key)) return desk.isRanking() ? () => desk.place(Number(key) || 10) : () => desk.rate(Number(key));
  return always[name] ?? (desk.isRanking() ? ranking : rating)[name];
}
