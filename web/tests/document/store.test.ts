import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { applyCommand, CommandError } from "../../src/document/commands";
import { linkIndex } from "../../src/document/adjacency";
import { createDocument } from "../../src/document/store";
import { INPUTS, ROOT, type Command, type Document, type Workflow } from "../../src/document/types";
import { graph, link, large, node, plain, workflow } from "./samples";
import { fastest, growth, LINEAR } from "./timing";

const three = () =>
  workflow(
    graph([node("1"), node("2"), node("3")], [link("x", "1", "2"), link("y", "2", "3"), link("z", "1", "3", 1)]),
  );

function faults(value: Workflow): string[] {
  const found: string[] = [];
  for (const one of value.graphs.values()) {
    const fed = new Set<string>();
    for (const each of one.links.values()) {
      const from = each.from === INPUTS ? one.inputs : one.nodes.get(each.from)?.outputs;
      const to = one.nodes.get(each.to)?.inputs;
      if (from?.[each.output] === undefined || to?.[each.input] === undefined) found.push(`dangling ${each.id}`);
      const key = `${each.to} ${each.input}`;
      if (fed.has(key)) found.push(`two links into ${key}`);
      fed.add(key);
    }
    // The index that was kept along the way says the same as a new one.
    for (const id of one.nodes.keys()) {
      const kept = linkIndex(one.links).of(id);
      const ids = [...one.links.values()].filter((each) => each.to === id).map((each) => each.id);
      if (
        kept.in
          .map((each) => each.id)
          .sort()
          .join() !== ids.sort().join()
      )
        found.push(`index of ${id}`);
      if (kept.in.some((each) => one.links.get(each.id) !== each)) found.push(`stale link at ${id}`);
    }
  }
  return found;
}

describe("commands", () => {
  it("removes the links of a removed node, and undo brings both back where they stood", () => {
    const before = three();
    const { workflow: after, inverse } = applyCommand(before, { do: "removeNodes", graph: ROOT, ids: ["2"] });
    expect([...after.graphs.get(ROOT)!.links.keys()]).toEqual(["z"]);
    expect(plain(applyCommand(after, inverse).workflow)).toBe(plain(before));
  });

  it("replaces the link that fed an input", () => {
    const { workflow: after, inverse } = applyCommand(three(), {
      do: "addLinks",
      graph: ROOT,
      links: [link("n", "1", "3")],
    });
    expect([...after.graphs.get(ROOT)!.links.keys()]).toEqual(["x", "z", "n"]);
    expect(plain(applyCommand(after, inverse).workflow)).toBe(plain(three()));
  });

  it("cuts links to slots that an update takes away", () => {
    const { workflow: after, inverse } = applyCommand(three(), {
      do: "updateNode",
      graph: ROOT,
      id: "3",
      set: { inputs: [{ name: "a", type: "IMAGE" }] },
    });
    expect([...after.graphs.get(ROOT)!.links.keys()]).toEqual(["x", "y"]);
    expect(plain(applyCommand(after, inverse).workflow)).toBe(plain(three()));
  });

  it("refuses what does not fit and leaves the workflow whole", () => {
    const before = three();
    const refused: Command[] = [
      { do: "addNodes", graph: ROOT, nodes: [node("1")] },
      { do: "addLinks", graph: ROOT, links: [link("n", "1", "9")] },
      { do: "addLinks", graph: ROOT, links: [link("n", "1", "3", 7)] },
      { do: "setValue", graph: ROOT, id: "9", input: "a", value: 1 },
      { do: "removeGraph", graph: ROOT },
      {
        do: "several",
        commands: [
          { do: "removeLinks", graph: ROOT, ids: ["x"] },
          { do: "addNodes", graph: "none", nodes: [] },
        ],
      },
    ];
    for (const command of refused) expect(() => applyCommand(before, command)).toThrow(CommandError);
    expect(faults(before)).toEqual([]);
  });

  it("shares what did not change", () => {
    const before = three();
    const { workflow: after } = applyCommand(before, { do: "setValue", graph: ROOT, id: "1", input: "a", value: 1 });
    expect(after.graphs.get(ROOT)!.links).toBe(before.graphs.get(ROOT)!.links);
    expect(after.graphs.get(ROOT)!.nodes.get("2")).toBe(before.graphs.get(ROOT)!.nodes.get("2"));
    expect(before.graphs.get(ROOT)!.nodes.get("1")!.values).toEqual({});
  });
});

describe("the store", () => {
  it("makes one step of a gesture and one of typing", () => {
    const document = createDocument(three());
    document.begin("Move");
    for (let x = 1; x <= 100; x++) document.apply({ do: "moveNodes", graph: ROOT, to: [{ id: "1", x, y: 0 }] }, "Move");
    document.commit();
    for (const value of ["a", "ab", "abc"])
      document.apply({ do: "setValue", graph: ROOT, id: "2", input: "text", value }, "Edit text");
    document.apply({ do: "setValue", graph: ROOT, id: "3", input: "text", value: "x" }, "Edit text");
    expect(document.history.map((step) => step.label)).toEqual(["Move", "Edit text", "Edit text"]);
    expect(document.history[0]!.forward.do).toBe("moveNodes");
    document.goTo(1);
    expect([document.node(ROOT, "1")!.x, document.node(ROOT, "2")!.values]).toEqual([100, {}]);
    document.goTo(2);
    expect(document.node(ROOT, "2")!.values).toEqual({ text: "abc" });
    document.goTo(0);
    expect(plain(document.workflow)).toBe(plain(three()));
  });

  it("of nodes and groups that are dragged together holds one move of each, and goes there and back", () => {
    const document = createDocument(workflow(graph([node("1"), node("2")])));
    const group = { id: "g", title: "", x: 0, y: 0, width: 9, height: 9, members: ["1"] };
    document.apply({ do: "putGroups", graph: ROOT, groups: [group] }, "Group");
    const before = plain(document.workflow);
    const drag = (ids: readonly string[], to: number): void => {
      for (let x = 1; x <= to; x++) {
        document.apply({ do: "moveNodes", graph: ROOT, to: ids.map((id) => ({ id, x, y: 0 })) }, "Move");
        document.apply({ do: "putGroups", graph: ROOT, groups: [{ ...group, x }] }, "Move");
      }
    };
    document.begin("Move");
    drag(["1"], 50);
    document.commit();
    expect((document.history[1]!.forward as Extract<Command, { do: "several" }>).commands).toHaveLength(2);
    document.begin("Move");
    drag(["1"], 3);
    drag(["1", "2"], 4);
    drag(["1"], 9);
    document.commit();
    const after = plain(document.workflow);
    document.goTo(1);
    expect(plain(document.workflow)).toBe(before);
    document.goTo(3);
    expect(plain(document.workflow)).toBe(after);
  });

  it("ends a typing burst after a pause", () => {
    vi.useFakeTimers();
    const document = createDocument(three());
    for (const value of ["a", "ab"]) {
      document.apply({ do: "setValue", graph: ROOT, id: "2", input: "text", value }, "Edit text");
      vi.advanceTimersByTime(5000);
    }
    expect(document.history.length).toBe(2);
    vi.useRealTimers();
  });

  it("takes a cancelled gesture back without a trace", () => {
    const document = createDocument(three());
    document.begin("Connect");
    document.apply({ do: "removeNodes", graph: ROOT, ids: ["2"] }, "");
    document.apply({ do: "addNodes", graph: ROOT, nodes: [node("4")] }, "");
    document.cancel();
    expect(plain(document.workflow)).toBe(plain(three()));
    expect(document.history).toEqual([]);
  });

  it("tells the views and the nodes concerned, also of undo", () => {
    const document = createDocument(three());
    const told: string[] = [];
    document.subscribe((change) => told.push([...change.nodes].sort().join() + (change.structure ? "!" : "")));
    const end = document.subscribeNode(ROOT, "3", () => told.push("node 3"));
    document.apply({ do: "removeLinks", graph: ROOT, ids: ["y"] }, "Cut");
    document.undo();
    end();
    document.apply({ do: "setValue", graph: ROOT, id: "3", input: "a", value: 1 }, "Set");
    expect(told).toEqual(["node 3", "2,3!", "node 3", "2,3!", "3"]);
  });
});

describe("any sequence of commands", () => {
  const id = fc.integer({ min: 1, max: 9 }).map(String);
  const place = fc.integer({ min: -500, max: 500 });
  const command: fc.Arbitrary<Command> = fc.oneof(
    id.map((one): Command => ({ do: "addNodes", graph: ROOT, nodes: [node(one)] })),
    fc.array(id, { maxLength: 3 }).map((ids): Command => ({ do: "removeNodes", graph: ROOT, ids })),
    fc
      .tuple(id, fc.string(), fc.option(fc.integer(), { nil: undefined }))
      .map(([one, input, value]): Command => ({ do: "setValue", graph: ROOT, id: one, input, value })),
    fc
      .tuple(id, place, place)
      .map(([one, x, y]): Command => ({ do: "moveNodes", graph: ROOT, to: [{ id: one, x, y }] })),
    fc
      .tuple(id, id, id, fc.integer({ min: 0, max: 1 }))
      .map(([name, from, to, input]): Command => ({
        do: "addLinks",
        graph: ROOT,
        links: [link(name, from, to, input)],
      })),
    fc.array(id, { maxLength: 3 }).map((ids): Command => ({ do: "removeLinks", graph: ROOT, ids })),
    fc.tuple(id, fc.integer({ min: 0, max: 3 })).map(([one, count]): Command => ({
      do: "updateNode",
      graph: ROOT,
      id: one,
      set: { inputs: Array.from({ length: count }, (_, slot) => ({ name: `i${slot}`, type: "IMAGE" })), title: "t" },
    })),
    fc.tuple(id, fc.array(id, { maxLength: 3 })).map(([one, members]): Command => ({
      do: "putGroups",
      graph: ROOT,
      groups: [{ id: one, title: "g", x: 0, y: 0, width: 1, height: 1, members }],
    })),
    id.map((one): Command => ({ do: "removeGroups", graph: ROOT, ids: [one] })),
    id.map((one): Command => ({ do: "setForm", form: [{ node: one, input: "a" }] })),
    fc
      .constantFrom("s", "t")
      .map((name): Command => ({ do: "putGraph", definition: graph([node("1")], [], { id: name, name }) })),
    fc.constantFrom("s", "t").map((name): Command => ({ do: "removeGraph", graph: name })),
  );
  const script = fc.array(
    fc.oneof(
      command,
      fc.array(command, { maxLength: 3 }).map((commands): Command => ({ do: "several", commands })),
    ),
  );

  function play(document: Document, commands: readonly Command[]): void {
    for (const one of commands) {
      try {
        document.apply(one, "step");
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
      }
    }
  }

  it("keeps links valid, and all undos give back the document as it was", () => {
    fc.assert(
      fc.property(script, (commands) => {
        const document = createDocument(three());
        play(document, commands);
        expect(faults(document.workflow)).toEqual([]);
        const after = plain(document.workflow);
        document.goTo(0);
        expect(plain(document.workflow)).toBe(plain(three()));
        document.goTo(document.history.length);
        expect(JSON.parse(after)).toEqual(JSON.parse(plain(document.workflow)));
      }),
      { numRuns: 300 },
    );
  });
});

it("a command and its inverse on 4,000 nodes cost little", () => {
  const commands: Command[] = [
    { do: "setValue", graph: ROOT, id: "7", input: "seed", value: 1 },
    {
      do: "moveNodes",
      graph: ROOT,
      to: Array.from({ length: 100 }, (_, place) => ({ id: String(place + 9), x: 1, y: 1 })),
    },
    { do: "removeNodes", graph: ROOT, ids: ["500"] },
    { do: "addLinks", graph: ROOT, links: [link("new", "1", "750", 1)] },
  ];
  for (const command of commands) {
    const thereAndBack = (count: number) => {
      let current = large(count);
      linkIndex(current.graphs.get(ROOT)!.links);
      return () => {
        const applied = applyCommand(current, command);
        current = applyCommand(applied.workflow, applied.inverse).workflow;
      };
    };
    expect(fastest(8, thereAndBack(4000))).toBeLessThan(8);
    expect(growth(1000, thereAndBack)).toBeLessThan(LINEAR);
  }
});
