// What the scripts say, in the language of the page. English stands in the source, and other languages come with the page.

const page = document.documentElement;
const { words, plurals } = JSON.parse(page.dataset.words ?? '{ "words": {}, "plurals": { "one": 0, "other": 1 } }');
const rules = new Intl.PluralRules(page.lang);
const numbers = new Intl.NumberFormat(page.lang);

const filled = (message, values) =>
  message.replace(/%\((\w+)\)s|%%/g, (_, name) => {
    if (!name) return "%";
    return typeof values[name] === "number" ? numbers.format(values[name]) : values[name];
  });

/** A message with `%(name)s` in it, said with these values. */
export const gettext = (message, values = {}) => filled(words[message]?.[0] ?? message, values);

/** One of two messages by a number, which they call `%(count)s`; other languages have as many as they need. */
export function ngettext(one, many, count, values = {}) {
  const forms = words[one] ?? [one, many];
  const place = words[one] ? plurals[rules.select(count)] : Number(count !== 1);
  return filled(forms[place] ?? forms.at(-1), { count, ...values });
}
