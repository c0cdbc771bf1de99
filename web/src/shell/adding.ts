/** Adding nodes: from the search, the library, a model file or the end of a link. */
import { t } from "../i18n";
import { several } from "../document/commands";
import { along, type Way } from "../document/operations/bends";
import { nextLinkId, nextNodeId } from "../document/nodes";
import { compatible } from "../document/typeRules";
import { ROOT, type Command, type Graph, type GraphNode, type Json, type Link, type NodeSpec, type Slot } from "../document/types";
import { addable, makeNode } from "./editorTypes";
import { graphHandle } from "./graphHandle";
import { countUse } from "./preferences";
import { active, specs } from "./workspace";

/** How far below a node's top its first socket lies. */
const FIRST_SOCKET = 48;

/** A port that a link was dragged from. */
export interface FromPort {
  readonly node: string;
  readonly side: "in" | "out";
  readonly slot: number;
  readonly type: string;
  /** The slot that its node gets first: a widget that had none, at the place `slot`. */
  readonly added?: Slot;
  /** What the widget of an input holds now. */
  readonly value?: Json | undefined;
  /** How the link gets to where it was let go. */
  readonly way?: Way | undefined;
}

/** The input or output (by its place in the type's list) that a dragged link would go to; undefined where none fits. */
export function slotFor(spec: NodeSpec, port: FromPort): number | undefined {
  const types = port.side === "out" ? spec.inputs.map((input) => (input.group === "hidden" ? "" : input.type)) : spec.outputs.map((output) => output.type);
  const fits = (type: string): boolean => type !== "" && (port.side === "out" ? compatible(port.type, type) : compatible(type, port.type));
  // The same type before one that merely takes it, a socket before a widget.
  const exact = types.findIndex((type, at) => type === port.type && (port.side === "in" || spec.inputs[at]?.widget !== true));
  const at = exact >= 0 ? exact : types.findIndex(fits);
  return at < 0 ? undefined : at;
}

/** Add a node where `at` says in graph units (the middle of the view without it), linked to `port` where one is given. */
export function addNode(type: string, at?: { readonly x: number; readonly y: number }, port?: FromPort, values: Readonly<Record<string, Json>> = {}): void {
  const tab = active.get();
  if (tab === undefined) return;
  const graphId = tab.place.get().graph ?? ROOT;
  const spec = addable(tab.document.workflow, graphId, specs.get() ?? new Map()).find((one) => one.type === type);
  if (spec === undefined) return;
  const graph = tab.document.graph(graphId);
  const middle = graphHandle.get()?.toGraph(window.innerWidth / 2, window.innerHeight / 2) ?? { x: 0, y: 0 };
  const place = at ?? freePlace(graph, middle);
  const free = makeNode(tab.document.workflow, spec, nextNodeId(graph), Math.round(place.x), Math.round(place.y), port);
  // What a link was dragged to comes with its socket at the pointer.
  const made = port === undefined || at === undefined ? free : { ...free, x: free.x - (port.side === "in" ? free.width : 0), y: free.y - (free.type === "Reroute" ? 15 : FIRST_SOCKET) };
  const { node, slot } = withSlot({ ...made, values: { ...made.values, ...values } }, spec, port);
  const commands: Command[] = [{ do: "addNodes", graph: graphId, nodes: [node] }, ...linkTo(graph, node, slot, port)];
  tab.document.apply(along(several(commands), port?.way), t("step.add", "Add {name}", { name: spec.title }));
  tab.selection.set({ nodes: new Set([node.id]) });
  // The keyboard goes on at the new node.
  tab.selection.focus(node.id);
  graphHandle.get()?.focus();
  countUse(type);
}

/** The slot of a new node that the link goes to; a widget that has none yet gets one. */
function withSlot(node: GraphNode, spec: NodeSpec, port: FromPort | undefined): { node: GraphNode; slot: number | undefined } {
  const at = port && slotFor(spec, port);
  if (port === undefined || at === undefined || port.side === "in") return { node, slot: at };
  const input = spec.inputs[at]!;
  const slot = node.inputs.findIndex((one) => one.name === input.name);
  if (slot >= 0) return { node, slot };
  return { node: { ...node, inputs: [...node.inputs, { name: input.name, type: input.type, widget: input.name }] }, slot: node.inputs.length };
}

function linkTo(graph: Graph, node: GraphNode, slot: number | undefined, port: FromPort | undefined): readonly Command[] {
  if (port === undefined || slot === undefined) return [];
  const link: Link =
    port.side === "out"
      ? { id: nextLinkId(graph), from: port.node, output: port.slot, to: node.id, input: slot, type: port.type }
      : { id: nextLinkId(graph), from: node.id, output: slot, to: port.node, input: port.slot, type: port.type };
  const target = port.side === "in" && port.added !== undefined ? graph.nodes.get(port.node) : undefined;
  const slots: readonly Command[] = target === undefined ? [] : [{ do: "updateNode", graph: graph.id, id: target.id, set: { inputs: [...target.inputs, port.added!] } }];
  const before = [...graph.links.values()].filter((one) => one.to === link.to && one.input === link.input).map((one) => one.id);
  const cut: readonly Command[] = before.length > 0 ? [{ do: "removeLinks", graph: graph.id, ids: before }] : [];
  return [...slots, ...cut, { do: "addLinks", graph: graph.id, links: [link] }];
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
