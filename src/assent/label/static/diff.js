// What differs between two texts, word by word. Pure.

const WORDS = /\p{L}[\p{L}\p{M}\p{N}'’]*|\p{N}+|\s+|[^\p{L}\p{N}\s]/gu;
const LARGEST = 4_000_000; // cells of the table; larger pairs are compared line by line

const split = (text, pattern) => text.match(pattern) ?? [];

/** Two lists of pieces [{text, own}], one a text: `own` pieces are not in the other text at that place. */
export function differences(left, right) {
  let [a, b] = [split(left, WORDS), split(right, WORDS)];
  if (a.length * b.length > LARGEST) [a, b] = [split(left, /[^\n]*\n?/g), split(right, /[^\n]*\n?/g)];
  if (a.length * b.length > LARGEST) return [[{ text: left, own: true }], [{ text: right, own: true }]];
  const common = longest(a, b);
  return [pieces(a, common.map(([i]) => i)), pieces(b, common.map(([, j]) => j))];
}

/** The longest common subsequence as pairs of places. */
function longest(a, b) {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i * width + j] =
        a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
  const found = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) found.push([i++, j++]);
    else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
    else j++;
  }
  return found;
}

function pieces(words, shared) {
  const kept = new Set(shared);
  const found = [];
  words.forEach((text, place) => {
    const own = !kept.has(place);
    if (found.length && found.at(-1).own === own) found.at(-1).text += text;
    else found.push({ text, own });
  });
  return found;
}

/** The text with what cannot be seen made visible, for places where it is shown outside the server's rendering. */
export const visible = (text) =>
  text.replace(/[\p{Cf}\p{Cc}\p{Zl}\p{Zp}\u034f\u115f\u1160\u2800\u3164\uffa0]/gu, (sign) =>
    "\n\t\r".includes(sign) ? sign : `[U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`,
  );
