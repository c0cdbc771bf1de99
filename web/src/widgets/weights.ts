/** Emphasis in prompts as people type it: `(word:1.1)`. */

export interface Span {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const STEP = 0.05;
const WEIGHTED = /^\((.*):(-?\d*\.?\d+)\)$/s;
const BREAKS = /[\s,.()[\]{}<>|;:!?"]/;

function wordAround(text: string, at: number): [number, number] {
  let start = at;
  let end = at;
  while (start > 0 && !BREAKS.test(text[start - 1] ?? " ")) start--;
  while (end < text.length && !BREAKS.test(text[end] ?? " ")) end++;
  return [start, end];
}

/** The innermost `(…:n)` that holds a range of the text. */
function bracketAround(text: string, start: number, end: number): [number, number] | undefined {
  let depth = 0;
  for (let i = start - 1; i >= 0; i--) {
    if (text[i] === ")" && text[i - 1] !== "\\") depth++;
    if (text[i] !== "(" || text[i - 1] === "\\") continue;
    if (depth-- > 0) continue;
    let inner = 0;
    for (let j = i + 1; j < text.length; j++) {
      if (text[j] === "(" && text[j - 1] !== "\\") inner++;
      if (text[j] !== ")" || text[j - 1] === "\\") continue;
      if (inner-- > 0) continue;
      return j + 1 >= end && WEIGHTED.test(text.slice(i, j + 1)) ? [i, j + 1] : undefined;
    }
    return undefined;
  }
  return undefined;
}

function weightText(weight: number): string {
  return String(Number(weight.toFixed(2)));
}

/**
 * Changes the weight of what is selected, or of the word at the caret, by `direction` steps of 0.05.
 * A weight of 1 takes the brackets away. Gives the new text and what is selected in it.
 */
export function changeWeight(text: string, from: number, to: number, direction: number): Span | undefined {
  let [start, end] = from === to ? wordAround(text, from) : [from, to];
  while (start < end && /\s/.test(text[start] ?? "")) start++;
  while (end > start && /\s/.test(text[end - 1] ?? "")) end--;
  if (start >= end) return undefined;
  const whole = WEIGHTED.test(text.slice(start, end)) ? ([start, end] as const) : bracketAround(text, start, end);
  let inner = text.slice(start, end);
  let weight = 1;
  if (whole !== undefined) {
    [start, end] = whole;
    const match = WEIGHTED.exec(text.slice(start, end));
    inner = match?.[1] ?? inner;
    weight = Number(match?.[2] ?? 1);
  }
  const next = Math.max(0, weight + direction * STEP);
  const plain = Math.abs(next - 1) < 1e-6;
  const put = plain ? inner : `(${inner}:${weightText(next)})`;
  const inside = plain ? start : start + 1;
  return { text: text.slice(0, start) + put + text.slice(end), start: inside, end: inside + inner.length };
}

/** The word before the caret that completion looks at: from `embedding:` or `<lora:` on, or the last plain word. */
export function wordBefore(text: string, caret: number): { word: string; start: number } {
  const head = text.slice(0, caret);
  const marked = /(?:embedding:|<lora:|<)[^\s,()>]*$/i.exec(head);
  if (marked !== null) return { word: marked[0], start: marked.index };
  const plain = /[^\s,()<>:]+$/.exec(head);
  return { word: plain?.[0] ?? "", start: plain?.index ?? caret };
}
