/** Small workflows for tests of the document. */
import { ROOT, type Graph, type GraphNode, type Link, type Workflow } from "../../src/document/types";

export function node(id: string, set: Partial<GraphNode> = {}): GraphNode {
  return {
    id,
    type: "Test",
    mode: "always",
    values: {},
    inputs: [
      { name: "a", type: "IMAGE" },
      { name: "b", type: "IMAGE" },
    ],
    outputs: [{ name: "IMAGE", type: "IMAGE" }],
    x: 0,
    y: 0,
    width: 200,
    height: null,
    ...set,
  };
}

export function link(id: string, from: string, to: string, input = 0): Link {
  return { id, from, output: 0, to, input, type: "IMAGE" };
}

export function graph(nodes: readonly GraphNode[], links: readonly Link[] = [], set: Partial<Graph> = {}): Graph {
  return {
    id: ROOT,
    name: "",
    nodes: new Map(nodes.map((one) => [one.id, one])),
    links: new Map(links.map((one) => [one.id, one])),
    groups: new Map(),
    inputs: [],
    outputs: [],
    ...set,
  };
}

export function workflow(...graphs: readonly Graph[]): Workflow {
  return { graphs: new Map(graphs.map((one) => [one.id, one])), form: [] };
}

/** A chain of nodes with two links each, as large as asked. */
export function large(count: number): Workflow {
  const nodes = Array.from({ length: count }, (_, place) =>
    node(String(place + 1), {
      x: (place % 60) * 260,
      y: Math.floor(place / 60) * 320,
      values: { seed: place, text: "a cat" },
    }),
  );
  const links: Link[] = [];
  for (let place = 1; place < count; place++) {
    links.push(link(`a${place}`, String(place), String(place + 1), 0));
    if (place > 7) links.push(link(`b${place}`, String(place - 7), String(place + 1), 1));
  }
  return workflow(graph(nodes, links));
}

/** Everything a workflow holds as plain JSON, order included. */
export function plain(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (one instanceof Map ? [...one] : one));
}
