import { t } from "../i18n";

/** Gives a text for the user with `{name}` places filled in. */
export function say(key: string, english: string, values: Readonly<Record<string, string | number>> = {}): string {
  return t(key, english).replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Whether a text runs from right to left: its first letter decides, as with `dir="auto"`. */
export function rightToLeft(text: string): boolean {
  const first = LETTER.exec(text);
  return first !== null && RIGHT_TO_LEFT.test(first[0]);
}

const LONGEST_TITLE = 200;
// Control characters, and those that turn the direction of everything around them.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g;

/** A title as it is shown: in one line of a length that can be drawn, and without what would disarrange the rest. */
export function shownTitle(title: string): string {
  const short = title.length > LONGEST_TITLE ? `${title.slice(0, LONGEST_TITLE)}…` : title;
  return short.replace(UNSEEN, " ");
}

const WIDE = /[^\u0000-\u02ff]/;

/** Whether a text may need more than `room` pixels at the size of a node's text: never no when it does. */
export function mayOverflow(text: string, room: number): boolean {
  return text.length * (WIDE.test(text) ? 15 : 9.5) > room;
}
