import fc from "fast-check";
import { expect, it } from "vitest";
import { jsonErrorAt } from "../../src/document/jsonErrors";

it.each([
  ['{"a" 1}', 5],
  ['{"a": 1,}', 8],
  ["[1, 2", 5],
  ["[1] x", 4],
  ['{"a": tru}', 6],
  ['["\\x"]', 1],
  ["[01]", 2],
  ["}", 0],
])("%s stops being JSON at %i", (text, at) => {
  expect(() => JSON.parse(text) as unknown).toThrow();
  expect(jsonErrorAt(text)).toBe(at);
});

it("whole JSON stops at its end", () => {
  fc.assert(fc.property(fc.json(), (text) => void expect(jsonErrorAt(text)).toBe(text.length)));
});
