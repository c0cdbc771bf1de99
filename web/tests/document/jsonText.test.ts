import fc from "fast-check";
import { expect, it } from "vitest";
import { changedOutside, jsonErrorAt } from "../../src/document/jsonText";
import { fastest, growth, LINEAR } from "./timing";

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

it("what stands in strings is left alone", () => {
  const changed = (text: string) => changedOutside(text, (part) => part.replaceAll("a", "b"));
  expect(changed('a "a\\"a" a "\\\\" a')).toBe('b "a\\"a" b "\\\\" b');
  expect(changed('a "a')).toBe('b "a');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      const spread = changedOutside(text, (part) => part.replaceAll(",", " , "));
      expect(JSON.stringify(JSON.parse(spread))).toBe(text);
    }),
  );
});

it("long and hostile texts take no time and no stack", () => {
  const texts = [
    '"' + '\\"'.repeat(5e6),
    `["${"x\\n".repeat(3e6)}"`,
    '"'.repeat(2e6),
    "\\".repeat(5e6),
    `${"[".repeat(2e6)}`,
  ];
  const looked = (text: string) => () => {
    changedOutside(text, (part) => part);
    jsonErrorAt(text);
  };
  for (const text of texts) {
    expect(growth(20_000, (length) => looked(text.slice(0, length)))).toBeLessThan(LINEAR);
    expect(fastest(3000, looked(text))).toBeLessThan(3000);
  }
});
