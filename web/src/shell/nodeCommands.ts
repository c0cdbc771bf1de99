/** What is done to the selected nodes, in the graph on screen. */
import { t } from "../i18n";
import type { Command, GraphNode, Group, Mode, NodeId, NodePatch } from "../document/types";
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
  const graph = tab.place.get().graph;
  const { nodes, links, groups } = tab.selection.current;
  const found = tab.document.graph(graph);
  const cut = new Set(links);
  for (const id of nodes) {
    const { in: incoming, out } = tab.document.linksOf(graph, id);
    for (const link of [...incoming, ...out]) cut.add(link.id);
  }
  const commands: Command[] = [];
  const gone = [...cut].filter((id) => found.links.has(id));
  const members = [...found.groups.values()].filter((group) => !groups.has(group.id) && group.members.some((id) => nodes.has(id)));
  if (gone.length > 0) commands.push({ do: "removeLinks", graph, ids: gone });
  if (members.length > 0)
    commands.push({ do: "putGroups", graph, groups: members.map((group) => ({ ...group, members: group.members.filter((id) => !nodes.has(id)) })) });
  if (nodes.size > 0) commands.push({ do: "removeNodes", graph, ids: [...nodes] });
  if (groups.size > 0) commands.push({ do: "removeGroups", graph, ids: [...groups] });
  tab.document.apply({ do: "several", commands }, t("step.delete", "Delete"));
  tab.selection.set({});
}

export function selectAll(): void {
  const tab = active.get();
  if (tab === undefined) return;
  tab.selection.set({ nodes: new Set(tab.document.graph(tab.place.get().graph).nodes.keys()) });
}

const MARGIN = 24;
const TITLE = 44;

export function groupSelected(): void {
  const tab = active.get();
  if (tab === undefined) return;
  const nodes = selected(tab);
  if (nodes.length === 0) return;
  const x = Math.min(...nodes.map((node) => node.x)) - MARGIN;
  const y = Math.min(...nodes.map((node) => node.y)) - TITLE - MARGIN;
  const group: Group = {
    id: freeId(tab.document.graph(tab.place.get().graph).groups.keys()),
    title: t("group", "Group"),
    x,
    y,
    width: Math.max(...nodes.map((node) => node.x + node.width)) + MARGIN - x,
    height: Math.max(...nodes.map((node) => node.y + (node.height ?? 160))) + MARGIN - y,
    members: nodes.map((node) => node.id),
  };
  tab.document.apply({ do: "putGroups", graph: tab.place.get().graph, groups: [group] }, t("step.group", "Group"));
}

/** A number above all numeric ids that are taken. */
export function freeId(taken: Iterable<string>): NodeId {
  let most = 0;
  for (const id of taken) if (/^\d+$/.test(id)) most = Math.max(most, Number(id));
  return String(most + 1);
}
