import { expect, test } from "vitest";
import { AREAS, de } from "../../src/i18n/de";

const sources = import.meta.glob<string>("../../src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });

/** English texts by key, as they stand in the code. */
function english(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const text of Object.values(sources)) {
    for (const [, key, words] of text.matchAll(/\b(?:t|say)\(\s*"([^"]+)",\s*"((?:[^"\\]|\\.)*)"/g)) {
      found.set(key!, (found.get(key!) ?? new Set()).add(words!));
    }
  }
  return found;
}

const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!).sort();

test("German has the keys that the code has, no more and no less", () => {
  expect(Object.keys(de).sort()).toEqual([...english().keys()].sort());
});

test("a key stands in one area of the German words", () => {
  const keys = Object.values(AREAS).flatMap((area) => Object.keys(area));
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
});

test("a key means one text", () => {
  expect([...english()].filter(([, texts]) => new Set([...texts].map((text) => text.toLowerCase())).size > 1)).toEqual([]);
});

test("both languages fill in the same names", () => {
  for (const [key, texts] of english()) for (const text of texts) expect(names(de[key] ?? ""), key).toEqual(names(text));
});
