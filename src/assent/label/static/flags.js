// Groups of flags: chips for what applies, one chip that says nothing does. A group that was never touched says nothing.

const boxes = (group) => [...group.querySelectorAll("[data-flag]")];
const threes = (group) => [...group.querySelectorAll("[data-three]")];

/** Every flag of a group as the person has said it. */
export function read(group) {
  const ticked = boxes(group).map((box) => [box.dataset.flag, box.checked]);
  const said = threes(group).map((three) => {
    const value = three.querySelector("input:checked")?.value ?? "null";
    return [three.dataset.three, { true: true, false: false, null: null }[value]];
  });
  return Object.fromEntries([...ticked, ...said]);
}

/** Show what was said; null is a group that nobody has touched. */
export function show(group, flags) {
  for (const box of boxes(group)) box.checked = flags?.[box.dataset.flag] === true;
  for (const three of threes(group))
    for (const input of three.querySelectorAll("input"))
      input.checked = flags != null && input.value === String(flags[three.dataset.three] ?? null);
  group.querySelector("[data-none]").checked = flags != null && isNone(flags);
}

export const isNone = (flags) => !Object.values(flags).includes(true);

/** No flag applies: false for each, and "does not apply" for those that may not. */
export function none(group) {
  return Object.fromEntries([
    ...boxes(group).map((box) => [box.dataset.flag, false]),
    ...threes(group).map((three) => [three.dataset.three, null]),
  ]);
}

/** Call said(owner, flags or null) whenever somebody changes a group. */
export function listen(said) {
  for (const group of document.querySelectorAll("[data-flags]"))
    group.addEventListener("change", (event) => {
      const all = event.target.matches("[data-none]");
      said(group, all ? (event.target.checked ? none(group) : null) : read(group));
    });
}
