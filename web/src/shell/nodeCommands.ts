/** What is done to the selected nodes, in the graph on screen. */
import { t } from "../i18n";
import { deleteCommands } from "../canvas/edit";
import { align, distribute, groupNodes, tidy, type Edge } from "../document/operations/arrange";
import { removeKeepingLinks } from "../document/operations/links";
import { toSubgraph, unpack } from "../document/operations/subgraphs";
import type { Command, Graph, GraphNode, Mode, NodeId, NodePatch, Workflow } from "../document/types";
import { active, type Tab } from "./workspace";

export function selected(tab: Tab): readonly GraphNode[] {
  const graph = tab.document.workflow.graphs.get(tab.place.get().graph);
  return [...tab.selection.current.nodes].flatMap((id) => graph?.nodes.get(id) ?? []);
}

export const hasSelection = (): boolean => {
  const tab = active.get();
  if (tab === undefined || tab.view.get() !== "graph") return false;
  const { nodes, links, groups } = tab.selection.current;
  return nodes.size + links.size + groups.size > 0;
};
export const hasNodes = (): boolean => hasSelection() && (active.get()?.selection.current.nodes.size ?? 0) > 0;

function patch(label: string, make: (node: GraphNode, all: readonly GraphNode[]) => NodePatch): void {
  const tab = active.get();
  if (tab === undefined) return;
  const nodes = selected(tab);
  const graph = tab.place.get().graph;
  const commands = nodes.map((node): Command => ({ do: "updateNode", graph, id: node.id, set: make(node, nodes) }));
  if (commands.length > 0) tab.document.apply({ do: "several", commands }, label);
}

export function toggleMode(mode: Mode): void {
  const label = mode === "bypass" ? t("step.bypass", "Bypass") : t("step.mute", "Mute");
  patch(label, (_, all) => ({ mode: all.every((one) => one.mode === mode) ? "always" : mode }));
}
export const toggleCollapsed = (): void =>
  patch(t("step.collapse", "Collapse"), (_, all) => ({ collapsed: all.every((one) => one.collapsed) ? undefined : true }));
export const togglePinned = (): void =>
  patch(t("step.pin", "Pin"), (_, all) => ({ pinned: all.every((one) => one.pinned) ? undefined : true }));
export const paint = (color: string | undefined): void => patch(t("step.colour", "Colour"), () => ({ color }));

export function removeSelected(): void {
  const tab = active.get();
  if (tab === undefined) return;
  const commands = deleteCommands(tab.document.graph(tab.place.get().graph), tab.selection.current);
  if (commands.length > 0) tab.document.apply({ do: "several", commands }, t("step.delete", "Delete"));
  tab.selection.set({});
}

export function selectAll(): void {
  const tab = active.get();
  if (tab === undefined) return;
  tab.selection.set({ nodes: new Set(tab.document.graph(tab.place.get().graph).nodes.keys()) });
}

/** Apply a command made from the selected nodes of the graph on screen. */
function operate(label: string, make: (graph: Graph, ids: ReadonlySet<NodeId>, workflow: Workflow) => Command): void {
  const tab = active.get();
  if (tab === undefined) return;
  tab.document.apply(make(tab.document.graph(tab.place.get().graph), tab.selection.current.nodes, tab.document.workflow), label);
}

export const groupSelected = (): void =>
  operate(t("step.group", "Group"), (graph, ids) => groupNodes(graph, ids, t("group", "Group")).command);
export async function tidySelected(): Promise<void> {
  const tab = active.get();
  if (tab === undefined) return;
  const { measured } = await import("./measured");
  operate(t("step.tidy", "Tidy"), (graph, ids) => (ids.size > 1 ? tidy(measured(tab, graph), ids) : tidy(measured(tab, graph))));
}
export const alignSelected = (edge: Edge): void => operate(t("step.align", "Align"), (graph, ids) => align(graph, ids, edge));
export const distributeSelected = (axis: "x" | "y"): void => operate(t("step.distribute", "Distribute"), (graph, ids) => distribute(graph, ids, axis));

export function removeKeeping(): void {
  operate(t("step.deleteKeeping", "Delete, links go on"), removeKeepingLinks);
  active.get()?.selection.set({});
}

export function makeSubgraph(): void {
  const tab = active.get();
  if (tab === undefined) return;
  const made = toSubgraph(tab.document.workflow, tab.place.get().graph, tab.selection.current.nodes, t("subgraph", "Subgraph"));
  tab.document.apply(made.command, t("step.subgraph", "Make a subgraph"));
  tab.selection.set({ nodes: new Set([made.instance]) });
}

export const isSubgraph = (): boolean => {
  const tab = active.get();
  return hasNodes() && tab !== undefined && selected(tab).some((node) => tab.document.workflow.graphs.has(node.type));
};

export function unpackSelected(): void {
  const tab = active.get();
  const node = tab && selected(tab).find((one) => tab.document.workflow.graphs.has(one.type));
  if (tab === undefined || node === undefined) return;
  const { command, ids } = unpack(tab.document.workflow, tab.place.get().graph, node.id);
  tab.document.apply(command, t("step.unpack", "Unpack the subgraph"));
  tab.selection.set({ nodes: new Set(ids) });
}

/** Whether an input of a node of the workflow itself is in the form. */
export const isInForm = (tab: Tab, node: NodeId, input: string | null): boolean =>
  tab.document.workflow.form.some((field) => field.node === node && field.input === input);

/** Put an input into the form, or take it out. */
export function toggleInForm(tab: Tab, node: NodeId, input: string | null): void {
  const { form } = tab.document.workflow;
  const rest = form.filter((field) => field.node !== node || field.input !== input);
  tab.document.apply({ do: "setForm", form: rest.length < form.length ? rest : [...form, { node, input }] }, t("step.form", "Change the form"));
}
