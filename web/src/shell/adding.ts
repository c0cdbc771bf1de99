/** Adding nodes: from the search, the library, a model file or the end of a link. */
import { t } from "../i18n";
import { ROOT, type Command, type Graph, type GraphNode, type InputSpec, type Json, type Link, type NodeSpec } from "../document/types";
import { graphHandle } from "./graphHandle";
import { freeId } from "./nodeCommands";
import { countUse } from "./preferences";
import { active, specs } from "./workspace";

/** A port that a link was dragged from. */
export interface FromPort {
  readonly node: string;
  readonly side: "in" | "out";
  readonly slot: number;
  readonly type: string;
}

const WIDTH = 240;
const WIDE = 360;

/** A fresh node of a type with its defaults. */
export function nodeOf(spec: NodeSpec, id: string, x: number, y: number): GraphNode {
  const shown = spec.inputs.filter((input) => input.group !== "hidden");
  const values: Record<string, Json> = {};
  for (const input of shown) if (input.widget) values[input.name] = input.default ?? input.choices?.[0] ?? (input.type === "STRING" ? "" : 0);
  const wide = shown.some((input) => input.multiline);
  return {
    id,
    type: spec.type,
    mode: "always",
    values,
    inputs: shown.map((input) => ({ name: input.name, type: input.type, ...(input.widget ? { widget: input.name } : {}) })),
    outputs: spec.outputs.map((output) => ({ name: output.name, type: output.type })),
    x: Math.round(x),
    y: Math.round(y),
    width: wide ? WIDE : WIDTH,
    height: null,
  };
}

export const fits = (from: string, to: string): boolean => {
  if (from === "*" || to === "*") return true;
  const takes = new Set(to.split(","));
  return from.split(",").some((type) => takes.has(type));
};

/** The slot of a node type that a dragged link would go to; undefined where none fits. */
export function slotFor(spec: NodeSpec, port: FromPort): number | undefined {
  const inputs = spec.inputs.filter((input) => input.group !== "hidden");
  const exact = (type: string): boolean => type === port.type;
  const types = port.side === "out" ? inputs.map((input: InputSpec) => input.type) : spec.outputs.map((output) => output.type);
  let at = types.findIndex(exact);
  if (at < 0) at = types.findIndex((type) => (port.side === "out" ? fits(port.type, type) : fits(type, port.type)));
  return at < 0 ? undefined : at;
}

/** Add a node where `at` says in graph units (the middle of the view without it), linked to `port` where one is given. */
export function addNode(type: string, at?: { readonly x: number; readonly y: number }, port?: FromPort, values: Readonly<Record<string, Json>> = {}): void {
  const tab = active.get();
  const spec = specs.get()?.get(type);
  if (tab === undefined || spec === undefined) return;
  const graphId = tab.place.get().graph ?? ROOT;
  const graph = tab.document.graph(graphId);
  const middle = graphHandle.get()?.toGraph(window.innerWidth / 2, window.innerHeight / 2) ?? { x: 0, y: 0 };
  const place = at ?? freePlace(graph, middle);
  const made = nodeOf(spec, freeId(graph.nodes.keys()), place.x, place.y);
  const node = { ...made, values: { ...made.values, ...values } };
  const commands: Command[] = [{ do: "addNodes", graph: graphId, nodes: [node] }, ...linkTo(graph, node, spec, port)];
  tab.document.apply({ do: "several", commands }, t("step.add", "Add {name}", { name: spec.title }));
  tab.selection.set({ nodes: new Set([node.id]) });
  countUse(type);
}

function linkTo(graph: Graph, node: GraphNode, spec: NodeSpec, port: FromPort | undefined): readonly Command[] {
  const slot = port && slotFor(spec, port);
  if (port === undefined || slot === undefined) return [];
  const link: Link =
    port.side === "out"
      ? { id: freeId(graph.links.keys()), from: port.node, output: port.slot, to: node.id, input: slot, type: port.type }
      : { id: freeId(graph.links.keys()), from: node.id, output: slot, to: port.node, input: port.slot, type: port.type };
  const before = [...graph.links.values()].filter((one) => one.to === link.to && one.input === link.input).map((one) => one.id);
  const cut: readonly Command[] = before.length > 0 ? [{ do: "removeLinks", graph: graph.id, ids: before }] : [];
  return [...cut, { do: "addLinks", graph: graph.id, links: [link] }];
}

/** A point near `at` where no node begins, so that nodes added one after the other do not hide each other. */
function freePlace(graph: Graph, at: { readonly x: number; readonly y: number }): { readonly x: number; readonly y: number } {
  let { x, y } = at;
  const taken = (): boolean => [...graph.nodes.values()].some((node) => Math.abs(node.x - x) < 20 && Math.abs(node.y - y) < 20);
  while (taken()) {
    x += 32;
    y += 32;
  }
  return { x, y };
}
