import fc from "fast-check";
import { expect, test } from "vitest";
import { Painting, type Brush } from "../../src/pictures/mask/painting";
import { blend, feather, fillShape, flood, invert, line, makePlane, stamp, wholeOf } from "../../src/pictures/mask/pixels";
import { firstSettings, pressureOf, resized, swapped } from "../../src/pictures/mask/tools";

const HARD: Brush = { size: 6, hardness: 1, opacity: 1, erase: false };
const make = (width = 40, height = 30, existing?: Uint8ClampedArray): Painting => new Painting(width, height, existing, (number) => `Layer ${number}`);
const at = (painting: Painting, x: number, y: number): number => painting.mask.data[y * painting.width + x]!;
const count = (painting: Painting): number => painting.mask.data.reduce((sum, value) => sum + Number(value > 0), 0);

test("a hard brush covers a disc of its size", () => {
  const painting = make();
  painting.begin({ x: 20, y: 15 }, { ...HARD, size: 20 });
  painting.end();
  const area = painting.mask.data.reduce((sum, value) => sum + value / 255, 0);
  expect(Math.abs(area - Math.PI * 100)).toBeLessThan(6);
  expect([at(painting, 20, 15), at(painting, 20, 4), at(painting, 31, 15)]).toEqual([255, 0, 0]);
});

test("a soft brush falls off, and never beyond its edge", () => {
  const plane = makePlane(41, 41);
  stamp(plane, { x: 20.5, y: 20.5 }, 10, 0);
  const row = [...plane.data.slice(20 * 41 + 20, 20 * 41 + 36)];
  expect(row[0]).toBe(255);
  expect(row.slice(1).every((value, index) => value <= row[index]!)).toBe(true);
  expect(row[5]).toBeGreaterThan(90);
  expect(row[11]).toBe(0);
});

test("a line has no gaps, however fast the hand", () => {
  const painting = make(200, 20);
  painting.begin({ x: 5, y: 10 }, HARD);
  painting.move({ x: 195, y: 10 });
  painting.end();
  for (let x = 5; x < 195; x++) expect(at(painting, x, 10)).toBe(255);
});

test("stamps go on evenly over the points of a stroke", () => {
  const places: number[] = [];
  let rest = 0;
  for (let x = 0; x < 30; x += 3) rest = line({ x, y: 0 }, { x: x + 3, y: 0 }, 8, rest, (point) => places.push(point.x));
  expect(places).toEqual(Array.from({ length: 15 }, (_, index) => 2 * (index + 1)));
});

test("half opacity is half a mask, also where the stroke crosses itself", () => {
  const painting = make();
  painting.begin({ x: 10, y: 15 }, { ...HARD, opacity: 0.5 });
  painting.move({ x: 30, y: 15 });
  painting.move({ x: 10, y: 15 });
  painting.end();
  expect(at(painting, 20, 15)).toBe(128);
  painting.begin({ x: 20, y: 15 }, { ...HARD, opacity: 0.5 });
  painting.end();
  expect(at(painting, 20, 15)).toBe(192);
});

test("the eraser takes away, inverting is its own inverse", () => {
  const painting = make();
  painting.invert();
  expect(count(painting)).toBe(40 * 30);
  painting.begin({ x: 20, y: 15 }, { ...HARD, erase: true });
  painting.end();
  expect(at(painting, 20, 15)).toBe(0);
  const plane = makePlane(3, 3);
  plane.data.set([1, 2, 3, 250]);
  invert(plane);
  invert(plane);
  expect([...plane.data.slice(0, 4)]).toEqual([1, 2, 3, 250]);
});

test("a flood stays within its colour and goes round corners", () => {
  // A wall with a gap at the bottom, another colour behind a closed one.
  const rows = ["....#...", "....#.##", "....#.#x", "......##"];
  const data = new Uint8ClampedArray(8 * 4 * 4);
  rows.join("").split("").forEach((letter, index) => data.set(letter === "#" ? [0, 0, 0, 255] : letter === "x" ? [250, 250, 250, 255] : [240, 240, 240, 255], index * 4));
  const picture = { width: 8, height: 4, data, colorSpace: "srgb" } as unknown as ImageData;
  const filled = (tolerance: number): string => {
    const plane = makePlane(8, 4);
    flood(plane, picture, { x: 0.5, y: 0.5 }, tolerance);
    return [0, 1, 2, 3].map((row) => [...plane.data.slice(row * 8, row * 8 + 8)].map((value) => (value > 0 ? "o" : " ")).join("")).join("|");
  };
  expect(filled(0)).toBe("oooo ooo|oooo o  |oooo o  |oooooo  ");
  expect(filled(255)).toBe("oooooooo|oooooooo|oooooooo|oooooooo");
  expect(flood(makePlane(8, 4), picture, { x: -1, y: 0 }, 0).width).toBe(0);
});

test("shapes cover what lies in them", () => {
  const box = makePlane(20, 20);
  fillShape(box, "rectangle", [{ x: 12, y: 3 }, { x: 4, y: 8 }]);
  expect(box.data.reduce((sum, value) => sum + value / 255, 0)).toBe(8 * 5);
  const round = makePlane(20, 20);
  fillShape(round, "ellipse", [{ x: 0, y: 0 }, { x: 20, y: 10 }]);
  expect(Math.abs(round.data.reduce((sum, value) => sum + value / 255, 0) - Math.PI * 10 * 5)).toBeLessThan(8);
  const triangle = makePlane(20, 20);
  fillShape(triangle, "lasso", [{ x: 0, y: 0 }, { x: 20, y: 0 }, { x: 0, y: 20 }]);
  expect([triangle.data[2 * 20 + 2], triangle.data[18 * 20 + 18]]).toEqual([255, 0]);
});

test("feathering softens an edge and keeps flat areas as they are", () => {
  const plane = makePlane(60, 9);
  for (let y = 0; y < 9; y++) plane.data.fill(255, y * 60 + 30, y * 60 + 60);
  feather(plane, 4);
  const row = [...plane.data.slice(4 * 60, 5 * 60)];
  expect([row[0], row[59]]).toEqual([0, 255]);
  expect(Math.abs(row[29]! + row[30]! - 255)).toBeLessThan(4);
  expect(row.every((value, index) => index === 0 || value >= row[index - 1]!)).toBe(true);
  expect(row.filter((value) => value > 0 && value < 255).length).toBeGreaterThan(10);
});

test("blending looks only at its rectangle", () => {
  const [layer, before, stroke] = [makePlane(4, 1), makePlane(4, 1), makePlane(4, 1)];
  stroke.data.fill(255);
  blend(layer, before, stroke, { x: 1, y: 0, width: 2, height: 1 }, 1, false);
  expect([...layer.data]).toEqual([0, 255, 255, 0]);
  expect(wholeOf(layer)).toEqual({ x: 0, y: 0, width: 4, height: 1 });
});

test("layers count by the strongest that is shown", () => {
  const painting = make();
  painting.begin({ x: 10, y: 10 }, HARD);
  painting.end();
  painting.addLayer();
  painting.begin({ x: 30, y: 10 }, HARD);
  painting.end();
  const [first, second] = painting.state.get().layers;
  expect([at(painting, 10, 10), at(painting, 30, 10)]).toEqual([255, 255]);
  painting.setLayer(first!.id, { shown: false });
  expect([at(painting, 10, 10), at(painting, 30, 10)]).toEqual([0, 255]);
  painting.setLayer(second!.id, { opacity: 0.5 });
  expect(at(painting, 30, 10)).toBe(128);
  painting.removeLayer(second!.id);
  expect([painting.state.get().layers.length, count(painting)]).toEqual([1, 0]);
  painting.removeLayer(first!.id);
  expect(painting.state.get().layers.length).toBe(1);
});

test("a stroke that became a pinch leaves nothing", () => {
  const painting = make();
  painting.begin({ x: 10, y: 10 }, HARD);
  painting.move({ x: 20, y: 20 });
  painting.abandon();
  expect([count(painting), painting.state.get().canUndo]).toEqual([0, false]);
});

test("what the picture had is kept, and painting counts as a change", () => {
  const existing = new Uint8ClampedArray(40 * 30);
  existing[5] = 77;
  const painting = make(40, 30, existing);
  expect([painting.mask.data[5], painting.changed]).toEqual([77, false]);
  painting.clear();
  expect([count(painting), painting.changed]).toEqual([0, true]);
  painting.undo();
  expect([painting.mask.data[5], painting.changed]).toEqual([77, false]);
});

test("any steps and as many undos are as before; redos bring all back", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("stroke" as const), x: fc.integer({ min: -5, max: 45 }), y: fc.integer({ min: -5, max: 35 }), size: fc.integer({ min: 1, max: 20 }), erase: fc.boolean() }),
    fc.record({ do: fc.constantFrom("invert" as const, "clear" as const, "feather" as const, "add" as const, "remove" as const, "hide" as const, "other" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const painting = make();
      const start = [...painting.mask.data];
      for (const one of steps) {
        const { layers, active } = painting.state.get();
        if (one.do === "stroke") {
          painting.begin({ x: one.x, y: one.y }, { size: one.size, hardness: 0.5, opacity: 0.7, erase: one.erase });
          painting.move({ x: one.y, y: one.x });
          painting.end();
        } else if (one.do === "invert") painting.invert();
        else if (one.do === "clear") painting.clear();
        else if (one.do === "feather") painting.feather(3);
        else if (one.do === "add") painting.addLayer();
        else if (one.do === "remove") painting.removeLayer(active);
        else if (one.do === "hide") painting.setLayer(active, { shown: !painting.layer.shown });
        else painting.choose(layers[0]!.id);
      }
      const end = [...painting.mask.data];
      let undone = 0;
      while (painting.undo()) undone += 1;
      expect([...painting.mask.data]).toEqual(start);
      expect(painting.state.get().layers.length).toBe(1);
      for (; undone > 0; undone--) expect(painting.redo()).toBe(true);
      expect([...painting.mask.data]).toEqual(end);
    }),
    { numRuns: 60 },
  );
});

test("only a pen presses; X swaps what adds with what takes away", () => {
  expect(pressureOf({ pointerType: "mouse", pressure: 0.5 }, true)).toBe(1);
  expect(pressureOf({ pointerType: "pen", pressure: 0.3 }, true)).toBe(0.3);
  expect(pressureOf({ pointerType: "pen", pressure: 0.3 }, false)).toBe(1);
  const settings = firstSettings(512, 512);
  expect([swapped(settings).tool, swapped(settings).erase, swapped(swapped(settings)).tool]).toEqual(["eraser", true, "brush"]);
  expect(swapped({ ...settings, tool: "lasso" })).toMatchObject({ tool: "lasso", erase: true });
  expect([resized(1, -1), resized(1, 1), resized(100, 1), resized(1000, 1)]).toEqual([1, 2, 110, 1000]);
});
