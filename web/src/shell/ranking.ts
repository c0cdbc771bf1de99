/** Finding by typing: how well a text fits what was typed, and how often it was used. */

const WORD_START = 8;
const RUN = 5;

/** Score of `text` for `query` in [0, ∞); undefined when the letters do not occur in this order. */
export function fuzzy(query: string, text: string): number | undefined {
  const wanted = query.toLowerCase().replace(/\s+/g, "");
  const lower = text.toLowerCase();
  if (wanted === "") return 0;
  const plain = lower.replace(/\s+/g, "");
  if (plain === wanted) return 1000;
  const at = lower.indexOf(query.toLowerCase().trim());
  // A whole word beats the start of a longer word, that beats the middle of one.
  if (at >= 0) {
    const start = at === 0 || isStart(text, at);
    const end = at + query.trim().length;
    const whole = end === text.length || isStart(text, end) || /[\s_-]/.test(text[end] ?? "");
    return 400 + (start ? 120 : 0) + (whole ? 150 : 0) - text.length;
  }
  let score = 0;
  let from = 0;
  let before = -2;
  for (const letter of wanted) {
    const found = lower.indexOf(letter, from);
    if (found < 0) return undefined;
    score += (isStart(text, found) ? WORD_START : 0) + (found === before + 1 ? RUN : 0) - Math.min(3, (found - from) / 4);
    before = found;
    from = found + 1;
  }
  return Math.max(0, score);
}

function isStart(text: string, at: number): boolean {
  if (at === 0) return true;
  const before = text[at - 1] ?? "";
  const here = text[at] ?? "";
  if (/[\s_\-(/]/.test(before)) return true;
  // "KSampler": the S begins a word although the K before it is a capital too.
  return /[A-Z]/.test(here) && (/[a-z0-9]/.test(before) || /[a-z]/.test(text[at + 1] ?? ""));
}

export interface Candidate {
  readonly id: string;
  readonly title: string;
  readonly also: string;
  readonly category: string;
}

/** Nodes that most graphs have: what a new user means first. */
const COMMON: readonly string[] = [
  "KSampler", "CLIPTextEncode", "CheckpointLoaderSimple", "VAEDecode", "EmptyLatentImage", "SaveImage", "PreviewImage",
  "LoadImage", "LoraLoader", "VAEEncode", "ControlNetLoader", "ControlNetApplyAdvanced", "ImageScale", "LatentUpscale",
  "UpscaleModelLoader", "ImageUpscaleWithModel", "VAELoader", "CLIPSetLastLayer", "PrimitiveNode", "Note",
];
const COMMON_RANK = new Map(COMMON.map((id, at) => [id, COMMON.length - at]));

/** Sort what fits `query`, best first; `used` counts how often each was added. */
export function rank<T extends Candidate>(query: string, candidates: readonly T[], used: Readonly<Record<string, number>>): readonly T[] {
  const scored: { readonly one: T; readonly score: number }[] = [];
  for (const one of candidates) {
    const title = fuzzy(query, one.title);
    const id = fuzzy(query, one.id);
    const also = query.length > 2 && one.also.toLowerCase().includes(query.toLowerCase()) ? 20 : undefined;
    if (title === undefined && id === undefined && also === undefined) continue;
    const fit = Math.max(title ?? 0, (id ?? 0) - 1, also ?? 0);
    const habit = 60 * Math.log2(1 + (used[one.id] ?? 0)) + 12 * (COMMON_RANK.get(one.id) ?? 0);
    scored.push({ one, score: fit + habit });
  }
  return scored.sort((a, b) => b.score - a.score || a.one.title.localeCompare(b.one.title)).map((entry) => entry.one);
}
