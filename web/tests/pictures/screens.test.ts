import fc from "fast-check";
import { expect, test } from "vitest";
import { inside, ofRatio, pulled, type Handle } from "../../src/pictures/crop";
import { nodeAt, shownIn } from "../../src/pictures/dropped";
import { inputAddress, referenceOf, thumbnailOf } from "../../src/pictures/files";
import { rowsInView } from "../../src/pictures/gallery/pages";
import { NONE, ranged, step, toggled } from "../../src/pictures/gallery/selection";
import { arranged } from "../../src/pictures/sheet/sheets";
import { parseLines, parseNumbers, product, suggested } from "../../src/pictures/sheet/values";
import { fitted, kept, pinched, toPicture, zoomed } from "../../src/pictures/view/viewport";
import type { InputSpec } from "../../src/document/types";

const input = (more: Partial<InputSpec>): InputSpec => ({ name: "x", type: "INT", group: "required", widget: true, options: {}, ...more });

test("a zoom keeps the point under the pointer", () => {
  const view = { x: 10, y: 20, scale: 2 };
  const at = { x: 100, y: 90 };
  expect(toPicture(zoomed(view, at, 1.7), at)).toEqual(toPicture(view, at));
  expect(zoomed(view, at, 1e9).scale).toBe(64);
});

test("small pictures are shown by whole steps, large ones as a whole", () => {
  expect(fitted({ width: 128, height: 128 }, { width: 1000, height: 800 }).scale).toBe(5);
  const large = fitted({ width: 4000, height: 2000 }, { width: 1000, height: 800 });
  expect(large.scale * 4000).toBeCloseTo(1000 - 48);
});

test("two fingers keep what is between them, and the picture never gets lost", () => {
  const before = [{ x: 100, y: 100 }, { x: 200, y: 100 }] as const;
  const after = [{ x: 120, y: 150 }, { x: 320, y: 150 }] as const;
  const view = { x: 0, y: 0, scale: 1 };
  const next = pinched(view, before, after);
  expect(next.scale).toBeCloseTo(2);
  expect(toPicture(next, { x: 220, y: 150 })).toEqual({ x: 150, y: 100 });
  expect(kept({ x: -9999, y: 9999, scale: 1 }, { width: 100, height: 100 }, { width: 500, height: 400 })).toEqual({ x: -52, y: 352, scale: 1 });
});

test("only rows in view are drawn", () => {
  expect(rowsInView(0, 600, 100, 5000)).toEqual([0, 8]);
  expect(rowsInView(250_000, 600, 100, 5000)).toEqual([2498, 2508]);
  expect(rowsInView(0, 600, 100, 3)).toEqual([0, 3]);
});

test("arrows go about in a grid, ranges begin at the anchor", () => {
  expect([step("ArrowRight", 3, 4, 5, 10), step("ArrowDown", 3, 4, 5, 10), step("ArrowDown", 7, 4, 5, 10), step("End", 0, 4, 5, 10), step("x", 0, 4, 5, 10)]).toEqual([4, 7, 7, 9, undefined]);
  const one = toggled(NONE, "a", 2);
  expect([...one.keys]).toEqual(["a"]);
  expect(toggled(one, "a", 2).keys.size).toBe(0);
  expect(ranged(one, ["a", "b"], 5)).toMatchObject({ anchor: 2, focus: 5 });
});

test("what is dropped is a picture of this server, or nothing", () => {
  expect(shownIn('{"url":"/view?filename=a.png","name":"a.png"}')).toEqual({ url: "/view?filename=a.png", name: "a.png" });
  for (const bad of ["", "x", "null", '{"url":"https://evil/view?x","name":"a"}', '{"url":"//evil","name":"a"}', '{"url":1,"name":"a"}']) expect(shownIn(bad)).toBeUndefined();
  const node = (id: string, x: number, height: number | null) => ({ id, x, y: 0, width: 100, height }) as never;
  expect(nodeAt([node("a", 0, null), node("b", 50, 100)], 60, 20)).toMatchObject({ id: "b" });
  expect(nodeAt([node("a", 0, 100)], 200, 20)).toBeUndefined();
});

test("names of inputs with their folders", () => {
  expect(inputAddress("sub/a b.png")).toBe("/view?filename=sub%2Fa+b.png&type=input");
  expect(inputAddress("a.png [output]", "a")).toBe("/view?filename=a.png&type=output&channel=a");
  expect(referenceOf("clipspace/m.png")).toEqual({ filename: "m.png", subfolder: "clipspace", type: "input" });
  expect(referenceOf("a.png [temp]")).toEqual({ filename: "a.png", subfolder: "", type: "temp" });
  expect(thumbnailOf("/view?filename=a.png&type=output", 192, 5)).toBe("/gallery/thumbnail?filename=a.png&type=output&size=192&v=5");
  expect(thumbnailOf("blob:x", 192)).toBe("blob:x");
});

test("numbers and ranges to sweep over", () => {
  expect(parseNumbers("1, 2,5; 2", input({})).values).toEqual([1, 2, 5]);
  expect(parseNumbers("1..4", input({})).values).toEqual([1, 2, 3, 4]);
  expect(parseNumbers("0.1..0.5 by 0.1", input({ type: "FLOAT" })).values).toEqual([0.1, 0.2, 0.3, 0.4, 0.5]);
  expect(parseNumbers("5..3", input({})).values).toEqual([5, 4, 3]);
  for (const bad of ["x", "1.5", "3..", "1..1000000", "-1", "1..5 by 0"]) expect(parseNumbers(bad, input({ min: 0 })).wrong, bad).toBe(bad);
  expect(parseLines("a\n\n b \na").values).toEqual(["a", "b"]);
  expect(product([[1, 2], ["a", "b"]])).toEqual([[1, "a"], [1, "b"], [2, "a"], [2, "b"]]);
  expect(suggested(input({ min: 1 }), 4)).toBe("3, 4, 5, 6");
  expect(suggested(input({ name: "seed" }), 7)).toBe("7, 8, 9, 10");
});

test("a crop stays in the picture, in whole steps, with its ratio", () => {
  const picture = { width: 256, height: 200 };
  const handle = fc.constantFrom<Handle>("n", "s", "e", "w", "ne", "nw", "se", "sw", "move");
  const far = fc.integer({ min: -400, max: 400 });
  fc.assert(
    fc.property(handle, far, far, fc.constantFrom(0, 1, 16 / 9), fc.constantFrom(1, 8), (which, dx, dy, ratio, by) => {
      const start = ratio > 0 ? ofRatio({ x: 40, y: 40, width: 160, height: 120 }, ratio, picture, by) : { x: 40, y: 40, width: 160, height: 120 };
      const rect = pulled(start, which, dx, dy, picture, ratio, by);
      expect(rect).toEqual(inside(rect, picture));
      expect([rect.width % by, rect.height % by]).toEqual([0, 0]);
      if (ratio > 0) expect(Math.abs(rect.width - rect.height * ratio)).toBeLessThanOrEqual(by * 2 * ratio);
      if (which === "move") expect([rect.width, rect.height]).toEqual([start.width, start.height]);
    }),
  );
});

test("a batch is a sheet: of a product the fastest input is across, what changes together is one axis", () => {
  const titleOf = (node: string): string => (node === "5" ? "KSampler" : node);
  const jobs = [[1, 5.5], [1, 7], [2, 5.5], [2, 7]].map(([seed, cfg], at) => ({ prompt_id: `b-${at}`, values: { "5.seed": seed!, "5.cfg": cfg! } }));
  const sheet = arranged(jobs, titleOf);
  expect(sheet.axes).toEqual([
    { title: "KSampler", input: "cfg", values: ["5.5", "7"] },
    { title: "KSampler", input: "seed", values: ["1", "2"] },
  ]);
  expect(sheet.jobs[1]).toEqual({ id: "b-1", values: ["7", "1"] });
  const zip = ["a", "b", "c"].map((text, at) => ({ prompt_id: `z-${at}`, values: { "Prompt.text": text, "5.seed": at } }));
  expect(arranged(zip, titleOf).axes).toEqual([{ title: "Prompt, KSampler", input: "text, seed", values: ["a, 0", "b, 1", "c, 2"] }]);
  expect(arranged([], titleOf)).toEqual({ axes: [{ title: "", input: "", values: [] }], jobs: [] });
});

test("three inputs in a product: all but the fastest are rows", () => {
  const jobs = [0, 1].flatMap((a) => [0, 1].flatMap((b) => [0, 1].map((c) => ({ prompt_id: `${a}${b}${c}`, values: { "1.a": a, "1.b": b, "1.c": c } }))));
  const { axes } = arranged(jobs, (node) => node);
  expect(axes.map((axis) => axis.values)).toEqual([["0", "1"], ["0, 0", "0, 1", "1, 0", "1, 1"]]);
});
