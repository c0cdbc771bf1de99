import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addBend, along, setBend } from "../../src/document/operations/bends";
import { duplicate } from "../../src/document/operations/clipboard";
import { connect } from "../../src/document/operations/links";
import { readEditor } from "../../src/document/read/editor";
import { writeEditor } from "../../src/document/write/editor";
import { ROOT, type JsonObject, type Workflow } from "../../src/document/types";
import { after, inputs, root } from "./operating";
import { graph, link, node, workflow } from "./samples";

const NONE = new Map();

describe("branches", () => {
  /** x runs 1 → 2 through two points of the file; the branch goes 1 → 3 through the first of them. */
  const bent = { ...link("x", "1", "2"), id: "5", bends: [{ id: "4", x: 10, y: 20 }, { id: "6", x: 30, y: 40 }] };
  const before = () => workflow(graph([node("1"), node("2"), node("3")], [bent], { extra: { idleReroutes: ["9"] } }));
  const branch = (value: Workflow) => along(connect(root(value), "1", 0, "3", "b")!, { bends: bent.bends.slice(0, 1) });
  const bends = (value: Workflow, id: string) => root(value).links.get(id)?.bends?.map((bend) => [bend.id, bend.x, bend.y]);

  it("give the prompt that a direct link gives", () => {
    const value = before();
    expect(inputs(after(value, branch(value)))).toEqual(inputs(after(value, connect(root(value), "1", 0, "3", "b")!)));
  });

  it("are read as they were written, in either kind of row", () => {
    for (const schema1 of [false, true]) {
      const value = before();
      const made = after({ ...value, ...(schema1 && { extra: { version: 1 } }) }, branch(value));
      const file = writeEditor(made, NONE);
      const again = readEditor(file, NONE);
      expect([...root(again).links.values()].map((one) => one.bends)).toEqual([...root(made).links.values()].map((one) => one.bends));
      expect(writeEditor(again, NONE)).toEqual(file);
      const points = (file.reroutes ?? (file.extra as JsonObject).reroutes) as readonly JsonObject[];
      expect(points).toEqual([
        { id: 4, pos: [10, 20], linkIds: [5, 6] },
        { id: 6, pos: [30, 40], parentId: 4, linkIds: [5] },
      ]);
    }
  });

  it("share their points: moved, added before and taken away in all links that run through them", () => {
    const value = before();
    const made = after(value, branch(value));
    const moved = after(made, setBend(root(made), root(made).links.get("6")!, 0, { x: 1, y: 2 })!);
    expect([bends(moved, "5"), bends(moved, "6")]).toEqual([[["4", 1, 2], ["6", 30, 40]], [["4", 1, 2]]]);
    const more = after(moved, addBend(root(moved), root(moved).links.get("5")!, 0, { x: 0, y: 0 }).command);
    // Neither a link's nor the point that the file keeps without a link.
    expect([bends(more, "5"), bends(more, "6")]).toEqual([[["10", 0, 0], ["4", 1, 2], ["6", 30, 40]], [["10", 0, 0], ["4", 1, 2]]]);
    const last = addBend(root(more), root(more).links.get("6")!, 2, { x: 7, y: 7 });
    expect(last.bends.map((bend) => bend.id)).toEqual(["10", "4", "11"]);
    const own = after(more, last.command);
    expect([bends(own, "5")?.length, bends(own, "6")?.length]).toEqual([3, 3]);
    const less = after(own, setBend(root(own), root(own).links.get("5")!, 1, undefined)!);
    expect([bends(less, "5"), bends(less, "6")]).toEqual([[["10", 0, 0], ["6", 30, 40]], [["10", 0, 0], ["11", 7, 7]]]);
  });

  it("are held by a file whatever was done to them", () => {
    const steps = fc.array(fc.tuple(fc.constantFrom("add", "move", "remove", "branch", "cut"), fc.nat(20), fc.nat(20)), { maxLength: 12 });
    fc.assert(
      fc.property(steps, fc.boolean(), (list, schema1) => {
        let value: Workflow = before();
        for (const [what, at, place] of list) {
          const links = [...root(value).links.values()];
          const one = links[at % Math.max(1, links.length)];
          const count = one?.bends?.length ?? 0;
          const free = ["2", "3"].flatMap((id) => ["a", "b"].map((name, input) => ({ id, name, input }))).find(({ id, input }) => !links.some((other) => other.to === id && other.input === input));
          const command =
            one === undefined ? undefined
            : what === "add" ? addBend(root(value), one, place % (count + 1), { x: at, y: place }).command
            : what === "branch" ? free && along(connect(root(value), "1", 0, free.id, free.name)!, { bends: (one.bends ?? []).slice(0, place % (count + 1)) })
            : what === "cut" ? ({ do: "removeLinks", graph: ROOT, ids: [one.id] } as const)
            : setBend(root(value), one, place % Math.max(1, count), what === "move" ? { x: at, y: place } : undefined);
          if (command !== undefined) value = after(value, command);
          // Saved and opened on the way, as autosave and the next visit do.
          if (place % 4 === 0) value = readEditor(JSON.parse(JSON.stringify(writeEditor({ ...value, ...(schema1 && { extra: { version: 1 } }) }, NONE))) as JsonObject, NONE);
        }
        const again = readEditor(JSON.parse(JSON.stringify(writeEditor(value, NONE))) as JsonObject, NONE);
        const bendsOf = (of: Workflow) => [...root(of).links.values()].map((one) => [one.from, one.to, one.input, one.bends ?? []]);
        expect(bendsOf(again)).toEqual(bendsOf(value));
      }),
      { numRuns: 500 },
    );
  });

  it("of two outputs are two in a file, though they have one id", () => {
    const other = { ...link("x", "2", "3"), id: "7", bends: [{ id: "4", x: 77, y: 78 }] };
    const value = workflow(graph([node("1"), node("2"), node("3")], [bent, other]));
    const again = readEditor(JSON.parse(JSON.stringify(writeEditor(value, NONE))) as JsonObject, NONE);
    expect([bends(again, "5"), bends(again, "7")]).toEqual([[["4", 10, 20], ["6", 30, 40]], [["7", 77, 78]]]);
  });

  it("of copies are their own, twice pasted too", () => {
    const value = before();
    const made = after(value, branch(value));
    const once = after(made, duplicate(made, ROOT, ["1", "2", "3"], false).command);
    const twice = after(once, duplicate(once, ROOT, ["1", "2", "3"], false).command);
    const ids = [...root(twice).links.values()].map((one) => one.bends?.map((bend) => bend.id));
    expect(ids).toEqual([["4", "6"], ["4"], ["10", "11"], ["10"], ["12", "13"], ["12"]]);
  });
});
