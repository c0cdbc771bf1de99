import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { widgetKind } from "../../src/canvas/layout";
import { filtered } from "../../src/widgets/ChoiceList";
import { calculate, finer, ruleOf, settle, shown, stepped } from "../../src/widgets/number";
import { randomSeed } from "../../src/widgets/SeedWidget";
import { changeWeight, wordBefore } from "../../src/widgets/weights";
import { readInput } from "../../src/document/specs";

const spec = (entry: Parameters<typeof readInput>[1]) => readInput("x", entry, "required");

describe("numbers", () => {
  it.each([
    ["1024/2", 512], ["(512 + 64) * 1.5", 864], ["2^10", 1024], ["-2^2", -4], ["50%", 0.5], ["1,5", 1.5], ["1e3", 1000], [".5", 0.5], ["2-3-4", -5], ["8/2/2", 2],
  ])("works out %s", (text, value) => expect(calculate(text)).toBeCloseTo(value, 12));
  it.each(["", "abc", "1+", "(1", "1)", "1 2", "1//2", "alert(1)", "1/0", "0x10"])("does not take %s", (text) => expect(calculate(text)).toBeUndefined());
  it("reads back what it shows", () => {
    fc.assert(fc.property(fc.integer({ min: -1e6, max: 1e6 }), (n) => calculate(String(n)) === n));
  });
  it("keeps to range and grain", () => {
    const rule = ruleOf(spec(["FLOAT", { min: 0, max: 1, step: 0.01, round: 0.001 }]));
    expect(settle(7, rule)).toBe(1);
    expect(settle(0.12345, rule)).toBe(0.123);
    expect(stepped(0.1, 2, rule)).toBe(0.12);
    expect(stepped(0.995, 1, rule)).toBe(1);
    const whole = ruleOf(spec(["INT", { min: 16, max: 64, step: 8 }]));
    expect(settle(17.6, whole)).toBe(18);
    expect(stepped(17, 1, whole)).toBe(24);
    expect(stepped(17, -1, whole)).toBe(16);
    // Ctrl: a tenth of the step, but never finer than what is kept.
    expect(stepped(17, 1, finer(whole))).toBe(18);
    expect(stepped(4, 1, finer({ whole: false, min: 0, max: 100, step: 0.1, round: 0.01 }))).toBe(4.01);
    expect(finer({ whole: false, min: 0, max: 1, step: 0.01, round: 0.01 }).step).toBe(0.01);
    expect(stepped(64, 5, whole)).toBe(64);
  });
  it("shows as many decimals as the step has", () => {
    const rule = ruleOf(spec(["FLOAT", { step: 0.1 }]));
    expect(shown(8, rule)).toBe("8.0");
    expect(shown(8.25, rule)).toBe("8.25");
    expect(shown(1 / 3, rule)).toBe("0.333333");
    expect(shown(20, ruleOf(spec(["INT", {}])))).toBe("20");
  });
  it("rolls seeds that JSON keeps and the input takes", () => {
    for (let n = 0; n < 200; n++) {
      expect(Number.isSafeInteger(randomSeed(2 ** 64))).toBe(true);
      expect(randomSeed(10)).toBeLessThanOrEqual(10);
    }
  });
});

describe("weights", () => {
  const press = (text: string, from: number, to: number, direction: number): string | undefined => changeWeight(text, from, to, direction)?.text;
  it("wraps the word at the caret and unwraps it at 1", () => {
    expect(press("a red apple", 3, 3, 1)).toBe("a (red:1.05) apple");
    expect(press("a (red:1.05) apple", 4, 4, 1)).toBe("a (red:1.1) apple");
    expect(press("a (red:1.05) apple", 4, 4, -1)).toBe("a red apple");
    expect(press("a red apple", 3, 3, -1)).toBe("a (red:0.95) apple");
  });
  it("takes what is selected, without its blanks, brackets included or not", () => {
    expect(press("a red apple", 1, 6, 1)).toBe("a (red:1.05) apple");
    expect(press("(red apple:1.2)", 0, 15, 1)).toBe("(red apple:1.25)");
    expect(press("a (big (red:1.3) apple:1.1)", 9, 9, 1)).toBe("a (big (red:1.35) apple:1.1)");
  });
  it("keeps the same words selected", () => {
    const changed = changeWeight("a red apple", 2, 11, 1);
    expect(changed?.text.slice(changed.start, changed.end)).toBe("red apple");
  });
  it("does nothing where there is no word", () => expect(changeWeight("a,  b", 3, 3, 1)).toBeUndefined());
  it("comes back after as many steps down as up", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{1,8}( [a-z]{1,8}){0,3}$/), fc.integer({ min: 1, max: 12 }), (text, steps) => {
        let now = { text, start: 0, end: text.length };
        for (let n = 0; n < steps; n++) now = changeWeight(now.text, now.start, now.end, 1) ?? now;
        expect(now.text).not.toBe(text);
        for (let n = 0; n < steps; n++) now = changeWeight(now.text, now.start, now.end, -1) ?? now;
        expect(now.text).toBe(text);
      }),
    );
  });
  it("finds the word that completion looks at", () => {
    expect(wordBefore("a, embedding:ba", 15)).toEqual({ word: "embedding:ba", start: 3 });
    expect(wordBefore("x <lora:fo", 10)).toEqual({ word: "<lora:fo", start: 2 });
    expect(wordBefore("a red", 5)).toEqual({ word: "red", start: 2 });
  });
});

describe("choice of a widget", () => {
  it.each([
    [["INT", {}], "number"], [["INT", { control_after_generate: true }], "seed"], [["FLOAT", { display: "slider" }], "slider"], [["BOOLEAN", {}], "toggle"],
    [[["a", "b"]], "combo"], [["STRING", {}], "text"], [["STRING", { multiline: true }], "multiline"], [[["a.png"], { image_upload: true }], "image"],
    [["INT", { display: "color" }], "color"], [["CURVE", {}], "raw"],
  ] as const)("%j is a %s", (entry, kind) => expect(widgetKind(spec(entry))).toBe(kind));
  it("searches words in any order and puts beginnings first", () => {
    const choices = ["euler", "dpmpp_2m", "my euler", "dpmpp_2m_sde"].map((key) => ({ key, label: key }));
    expect(filtered(choices, "euler").map((one) => one.key)).toEqual(["euler", "my euler"]);
    expect(filtered(choices, "sde dpm").map((one) => one.key)).toEqual(["dpmpp_2m_sde"]);
  });
});
