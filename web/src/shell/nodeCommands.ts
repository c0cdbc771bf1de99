/** What is done to the selected nodes, in the graph on screen. */
import { t } from "../i18n";
import { deleteCommands } from "../canvas/edit";
import { above, below } from "../canvas/rules";
import { align, distribute, groupNodes, tidy, type Edge } from "../document/operations/arrange";
import { togglePortals } from "../document/operations/links";
import { promoteInput } from "../document/operations/ports";
import { toSubgraph, unpack } from "../document/operations/subgraphs";
import { specOf } from "../document/shown";
import type { Command, Graph, GraphNode, GroupId, LinkId, Mode, NodeId, NodePatch, Workflow } from "../document/types";
import { graphHandle } from "./graphHandle";
import { active, specs, type Tab } from "./workspace";

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

function remove(label: string, cut: boolean): void {
  const tab = active.get();
  if (tab === undefined) return;
  const commands = deleteCommands(tab.document.graph(tab.place.get().graph), tab.selection.current, cut);
  if (commands.length > 0) tab.document.apply({ do: "several", commands }, label);
  tab.selection.set({});
}
export const removeSelected = (): void => remove(t("step.delete", "Delete"), false);
/** As `removeSelected`, without leading links on. */
export const removeCutting = (): void => remove(t("step.deleteCutting", "Delete with its links"), true);

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

/** A group around the selected nodes, whose name is asked for at once. */
export async function groupSelected(): Promise<void> {
  let made: GroupId | undefined;
  await operateMeasured(t("step.group", "Group"), (graph, ids) => {
    const { command, group } = groupNodes(graph, ids, t("group", "Group"));
    made = group;
    return command;
  });
  if (made !== undefined) graphHandle.get()?.renameGroup(made);
}
/** As `operate`, with the heights that nodes have on the screen. */
async function operateMeasured(label: string, make: (graph: Graph, ids: ReadonlySet<NodeId>) => Command): Promise<void> {
  const tab = active.get();
  const { measured } = await import("./measured");
  if (tab !== undefined && tab === active.get()) operate(label, (graph, ids) => make(measured(tab, graph), ids));
}

export const tidySelected = (): Promise<void> => operateMeasured(t("step.tidy", "Tidy"), (graph, ids) => (ids.size > 1 ? tidy(graph, ids) : tidy(graph)));
export const alignSelected = (edge: Edge): Promise<void> => operateMeasured(t("step.align", "Align"), (graph, ids) => align(graph, ids, edge));
export const distributeSelected = (axis: "x" | "y"): Promise<void> => operateMeasured(t("step.distribute", "Distribute"), (graph, ids) => distribute(graph, ids, axis));

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

/** Collapses or expands every node of the graph on screen. */
export function collapseAll(collapsed: boolean): void {
  const tab = active.get();
  if (tab === undefined) return;
  const graph = tab.document.graph(tab.place.get().graph);
  const commands = [...graph.nodes.values()]
    .filter((node) => (node.collapsed === true) !== collapsed && node.type !== "Reroute")
    .map((node): Command => ({ do: "updateNode", graph: graph.id, id: node.id, set: { collapsed: collapsed || undefined } }));
  if (commands.length > 0) tab.document.apply({ do: "several", commands }, t("step.collapse", "Collapse"));
}

/** Selects what feeds the selected nodes, or what they feed, besides them. */
export function selectAlong(way: "above" | "below"): void {
  const tab = active.get();
  if (tab === undefined) return;
  const { graph } = tab.place.get();
  const found = [...tab.selection.current.nodes].flatMap((id) => [...(way === "above" ? above : below)(tab.document, graph, id)]);
  tab.selection.set({ nodes: new Set(found.filter((id) => tab.document.node(graph, id) !== undefined)) });
}

/** The selected links, or those that leave the selected nodes, or those into them. */
function chosenLinks(tab: Tab): readonly LinkId[] {
  const { graph } = tab.place.get();
  const { links, nodes } = tab.selection.current;
  if (links.size > 0) return [...links];
  const out = [...nodes].flatMap((id) => tab.document.linksOf(graph, id).out);
  return (out.length > 0 ? out : [...nodes].flatMap((id) => tab.document.linksOf(graph, id).in)).map((link) => link.id);
}

export function portalSelected(links?: readonly LinkId[]): void {
  const tab = active.get();
  const chosen = tab && (links ?? chosenLinks(tab));
  if (tab === undefined || chosen === undefined || chosen.length === 0) return;
  tab.document.apply(togglePortals(tab.document.graph(tab.place.get().graph), chosen), t("step.portal", "Portal or wire"));
}

/** Shows the selected nodes, or all of the graph when none is selected. */
export function fitSelected(): void {
  const tab = active.get();
  const ids = tab === undefined ? [] : selected(tab).map((node) => node.id);
  graphHandle.get()?.fit(ids.length > 0 ? ids : undefined);
}

/** Shows an input of a node inside a subgraph at the subgraph's own nodes, too. */
export function promote(tab: Tab, id: NodeId, input: string): void {
  const { graph } = tab.place.get();
  const node = tab.document.node(graph, id);
  const spec = node && specOf(tab.document.workflow, node, specs.get() ?? new Map())?.inputs.find((one) => one.name === input);
  if (node === undefined) return;
  tab.document.apply(promoteInput(tab.document.workflow, graph, id, input, spec).command, t("step.promote", "Show an input outside"));
}

/** Goes to one end of the selected link. */
export function goToEnd(end: "from" | "to", link?: LinkId): void {
  const tab = active.get();
  const [id] = link === undefined ? (tab?.selection.current.links ?? []) : [link];
  const found = id === undefined ? undefined : tab?.document.graph(tab.place.get().graph).links.get(id);
  if (found !== undefined) graphHandle.get()?.centreOn(found[end]);
}

export const hasLink = (): boolean => hasSelection() && (active.get()?.selection.current.links.size ?? 0) > 0;

/** Whether an input of a node of the workflow itself is in the form. */
export const isInForm = (tab: Tab, node: NodeId, input: string | null): boolean =>
  tab.document.workflow.form.some((field) => field.node === node && field.input === input);

/** Put an input into the form, or take it out. */
export function toggleInForm(tab: Tab, node: NodeId, input: string | null): void {
  const { form } = tab.document.workflow;
  const rest = form.filter((field) => field.node !== node || field.input !== input);
  tab.document.apply({ do: "setForm", form: rest.length < form.length ? rest : [...form, { node, input }] }, t("step.form", "Change the form"));
}
