/** Any sequence of operations: links stay valid, undo brings everything back, and the native form holds what came out. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { createDocument } from "../../src/document/store";
import { openText, saveText } from "../../src/document/open";
import { align, distribute, groupNodes, tidy, toggleMode } from "../../src/document/operations/arrange";
import { addBend, along, setBend } from "../../src/document/operations/bends";
import { duplicate } from "../../src/document/operations/clipboard";
import { connect, insertReroute, removeKeepingLinks } from "../../src/document/operations/links";
import { movePort, renamePort, removePort } from "../../src/document/operations/ports";
import { OperationError, toSubgraph, unpack } from "../../src/document/operations/subgraphs";
import { PromptError, toPrompt } from "../../src/document/prompt";
import { wouldCycle } from "../../src/document/typeRules";
import { INPUTS, OUTPUTS, ROOT, type Command, type Graph, type NodeId, type Workflow } from "../../src/document/types";
import { anyGraph } from "./arbitrary";
import { plain } from "./samples";

const NONE = new Map();

type Operation = (workflow: Workflow, graph: Graph, ids: readonly NodeId[], number: number) => Command | undefined;

const pick = <T>(from: Iterable<T>, number: number): T | undefined => {
  const list = [...from];
  return list[number % Math.max(1, list.length)];
};
const definition = (workflow: Workflow, number: number): Graph | undefined =>
  pick([...workflow.graphs.values()].filter((one) => one.id !== ROOT), number);

const OPERATIONS: Readonly<Record<string, Operation>> = {
  subgraph: (workflow, graph, ids) => toSubgraph(workflow, graph.id, ids, "Part").command,
  unpack: (workflow, graph, _, number) => {
    const instance = pick([...graph.nodes.values()].filter((node) => workflow.graphs.has(node.type)), number);
    return instance && unpack(workflow, graph.id, instance.id).command;
  },
  remove: (_, graph, ids) => ({ do: "removeNodes", graph: graph.id, ids: ids.slice(0, 2) }),
  removeKeeping: (_, graph, ids) => removeKeepingLinks(graph, ids.slice(0, 2)),
  reroute: (_, graph, __, number) => {
    const link = pick([...graph.links.values()].filter((one) => one.from !== INPUTS && one.to !== OUTPUTS), number);
    return link && insertReroute(graph, link.id, number, number).command;
  },
  cut: (_, graph, __, number) => {
    const link = pick(graph.links.keys(), number);
    return link === undefined ? undefined : { do: "removeLinks", graph: graph.id, ids: [link] };
  },
  look: (_, graph, __, number) => {
    const id = pick(graph.links.keys(), number);
    const set = number % 2 === 0 ? { hidden: true } : { portal: `p${number}` };
    return id === undefined ? undefined : { do: "updateLink", graph: graph.id, id, set };
  },
  bend: (_, graph, __, number) => {
    const link = pick(graph.links.values(), number);
    return link && addBend(graph, link, number % ((link.bends?.length ?? 0) + 1), { x: number, y: 1 }).command;
  },
  setBend: (_, graph, __, number) => {
    const link = pick([...graph.links.values()].filter((one) => one.bends?.length), number);
    return link && setBend(graph, link, number % link.bends!.length, number % 3 === 0 ? undefined : { x: number, y: 2 });
  },
  branch: (_, graph, __, number) => {
    const link = pick([...graph.links.values()].filter((one) => one.bends?.length), number);
    if (link === undefined) return undefined;
    const fed = new Set([...graph.links.values()].map((one) => `${one.to} ${one.input}`));
    const below = [...graph.nodes.values()].filter((node) => link.from === INPUTS || (node.id !== link.from && !wouldCycle(graph, link.from, node.id)));
    const free = below.flatMap((node) => node.inputs.flatMap((slot, place) => (fed.has(`${node.id} ${place}`) ? [] : [[node.id, slot.name] as const])));
    const [to, input] = pick(free, number) ?? [];
    const made = to === undefined ? undefined : connect(graph, link.from, link.output, to, input!);
    return made && along(made, { bends: link.bends!.slice(0, 1 + (number % link.bends!.length)) });
  },
  connect: (_, graph, ids, number) => {
    const [from, to] = [ids[0], ids.at(-1)];
    if (from === undefined || to === undefined || from === to || wouldCycle(graph, from, to)) return undefined;
    const slot = pick(graph.nodes.get(to)!.inputs, number);
    const taken = slot && [...graph.links.values()].some((one) => one.to === to && graph.nodes.get(to)!.inputs[one.input] === slot);
    return slot === undefined || taken === true ? undefined : connect(graph, from, 0, to, slot.name);
  },
  value: (_, graph, ids, number) => {
    const node = graph.nodes.get(ids[0] ?? "");
    const input = node?.type === "PrimitiveNode" ? "value" : "b";
    return node && { do: "setValue", graph: graph.id, id: node.id, input, value: number };
  },
  move: (_, graph, ids, number) => ({ do: "moveNodes", graph: graph.id, to: ids.map((id) => ({ id, x: number, y: -number })) }),
  group: (_, graph, ids) => groupNodes(graph, ids, "Group").command,
  duplicate: (workflow, graph, ids, number) => duplicate(workflow, graph.id, ids, number % 2 === 0).command,
  mute: (_, graph, ids) => toggleMode(graph, ids, "mute"),
  bypass: (_, graph, ids) => toggleMode(graph, ids, "bypass"),
  tidy: (_, graph) => tidy(graph),
  align: (_, graph, ids) => align(graph, ids, "left"),
  distribute: (_, graph, ids) => distribute(graph, ids, "x"),
  renamePort: (workflow, _, __, number) => {
    const found = definition(workflow, number);
    return found === undefined || found.inputs.length === 0 ? undefined : renamePort(workflow, found.id, "inputs", found.inputs[number % found.inputs.length]!.name, `port ${number}`);
  },
  movePort: (workflow, _, __, number) => {
    const found = definition(workflow, number);
    const count = found?.inputs.length ?? 0;
    return found === undefined || count === 0 ? undefined : movePort(workflow, found.id, "inputs", number % count, (number + 1) % count);
  },
  border: (workflow, _, __, number) => {
    const found = definition(workflow, number);
    return found && { do: "placeBorder", graph: found.id, border: number % 2 === 0 ? "inputs" : "outputs", at: number % 5 === 0 ? null : { x: number, y: 1 } };
  },
  removePort: (workflow, _, __, number) => {
    const found = definition(workflow, number);
    const side = number % 2 === 0 || found?.outputs.length === 0 ? "inputs" : "outputs";
    const port = found && pick(found[side], number);
    return port && removePort(workflow, found.id, side, port.name);
  },
};

/** What is wrong with the links of a workflow. */
function faults(workflow: Workflow): string[] {
  const found: string[] = [];
  for (const graph of workflow.graphs.values()) {
    const fed = new Set<string>();
    const bends = new Map<string, string>();
    for (const link of graph.links.values()) {
      const outputs = link.from === INPUTS ? graph.inputs : graph.nodes.get(link.from)?.outputs;
      const inputs = link.to === OUTPUTS ? graph.outputs : graph.nodes.get(link.to)?.inputs;
      if (outputs?.[link.output] === undefined || inputs?.[link.input] === undefined) found.push(`link ${link.id} has no end`);
      const key = `${link.to} ${link.input}`;
      if (fed.has(key)) found.push(`two links into ${key}`);
      fed.add(key);
      // A point lies in one place, after one other, and on links of one output alone: what a file can say.
      for (const [place, { id, x, y }] of (link.bends ?? []).entries()) {
        const said = JSON.stringify([link.from, link.output, link.bends![place - 1]?.id, x, y]);
        if (bends.has(id) && bends.get(id) !== said) found.push(`bend ${id} is ${bends.get(id)} and ${said}`);
        bends.set(id, said);
      }
    }
    for (const group of graph.groups.values()) for (const id of group.members) if (!graph.nodes.has(id)) found.push(`group ${group.id} holds ${id}`);
  }
  return found;
}

function prompt(workflow: Workflow): unknown {
  try {
    return Object.fromEntries(Object.entries(toPrompt(workflow, NONE)).map(([id, one]) => [id, one.inputs]));
  } catch (error) {
    if (error instanceof PromptError) return error.message;
    throw error;
  }
}

const step = fc.record({
  what: fc.constantFrom(...Object.keys(OPERATIONS), "subgraph", "subgraph", "bend", "branch", "branch"),
  inside: fc.boolean(),
  picks: fc.array(fc.nat(30), { minLength: 1, maxLength: 5 }),
  number: fc.nat(50),
});

it("any operations one after the other keep links valid, are undone to the letter, and are held by the native form", () => {
  const done = new Set<string>();
  fc.assert(
    fc.property(anyGraph, fc.array(step, { minLength: 1, maxLength: 12 }), (before, steps) => {
      const document = createDocument(before);
      for (const { what, inside, picks, number } of steps) {
        const graph = (inside ? definition(document.workflow, number) : undefined) ?? document.workflow.graphs.get(ROOT)!;
        const all = [...graph.nodes.keys()];
        const ids = all.length === 0 ? [] : [...new Set(picks.map((one) => all[one % all.length]!))];
        try {
          const command = OPERATIONS[what]!(document.workflow, graph, ids, number);
          if (command === undefined) continue;
          document.apply(command, what);
          done.add(what);
        } catch (error) {
          if (!(error instanceof OperationError)) throw error;
        }
        expect(faults(document.workflow)).toEqual([]);
      }
      const after = plain(document.workflow);
      const reached = document.position;
      const saved = openText(saveText(document.workflow, NONE, "native"), NONE);
      expect(prompt(saved)).toEqual(prompt(document.workflow));
      expect(saveText(saved, NONE, "native")).toBe(saveText(document.workflow, NONE, "native"));
      document.goTo(0);
      expect(plain(document.workflow)).toBe(plain(before));
      document.goTo(reached);
      expect(plain(document.workflow)).toBe(after);
    }),
    { numRuns: 400 },
  );
  expect([...done].sort()).toEqual(Object.keys(OPERATIONS).sort());
});
