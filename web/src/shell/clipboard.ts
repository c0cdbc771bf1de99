/** Copy and paste of nodes with the links between them; as text, so that it works between windows and programs. */
import type { Command, GraphNode, Group, Link, NodeId } from "../document/types";
import { t } from "../i18n";
import { graphHandle } from "./graphHandle";
import { freeId, selected } from "./nodeCommands";
import { active } from "./workspace";

interface Clip {
  readonly safelightNodes: readonly GraphNode[];
  readonly links: readonly Link[];
  readonly groups: readonly Group[];
}
const STEP = 40;
let kept: Clip | undefined;

function clip(): Clip | undefined {
  const tab = active.get();
  if (tab === undefined) return undefined;
  const graph = tab.document.graph(tab.place.get().graph);
  const nodes = selected(tab);
  const ids = new Set(nodes.map((node) => node.id));
  const links = [...ids].flatMap((id) => tab.document.linksOf(graph.id, id).in);
  const groups = [...tab.selection.current.groups].flatMap((id) => graph.groups.get(id) ?? []);
  return { safelightNodes: nodes, links, groups };
}

export async function copy(): Promise<void> {
  kept = clip();
  if (kept === undefined) return;
  // Without permission the copy works within this page.
  await navigator.clipboard?.writeText(JSON.stringify(kept)).catch(() => undefined);
}

/** Put in what was copied. `linked` also keeps the links from nodes that were not copied. */
export async function paste(linked: boolean): Promise<void> {
  const text = await navigator.clipboard?.readText().catch(() => "");
  const found = parsed(text ?? "") ?? kept;
  if (found !== undefined) insert(found, linked);
}

function parsed(text: string): Clip | undefined {
  if (!text.startsWith("{") || !text.includes('"safelightNodes"')) return undefined;
  try {
    const found = JSON.parse(text) as Clip;
    const good = Array.isArray(found.safelightNodes) && Array.isArray(found.links) && Array.isArray(found.groups);
    return good && found.safelightNodes.every((node) => typeof node.id === "string" && typeof node.type === "string") ? found : undefined;
  } catch {
    return undefined;
  }
}

export function duplicate(): void {
  const made = clip();
  if (made !== undefined) insert(made, true, STEP);
}

function insert(clip: Clip, linked: boolean, shift?: number): void {
  const tab = active.get();
  if (tab === undefined || clip.safelightNodes.length === 0) return;
  const graph = tab.document.graph(tab.place.get().graph);
  const middle = graphHandle.get()?.toGraph(window.innerWidth / 2, window.innerHeight / 2) ?? { x: 0, y: 0 };
  const left = Math.min(...clip.safelightNodes.map((node) => node.x));
  const top = Math.min(...clip.safelightNodes.map((node) => node.y));
  const dx = shift ?? Math.round(middle.x - left - 160);
  const dy = shift ?? Math.round(middle.y - top - 120);
  const taken = new Set(graph.nodes.keys());
  const names = new Map<NodeId, NodeId>();
  for (const node of clip.safelightNodes) {
    const id = freeId(taken);
    taken.add(id);
    names.set(node.id, id);
  }
  const takenLinks = new Set(graph.links.keys());
  const links = clip.links.flatMap((link): Link[] => {
    const from = names.get(link.from) ?? (linked && graph.nodes.has(link.from) ? link.from : undefined);
    const to = names.get(link.to);
    if (from === undefined || to === undefined) return [];
    const id = freeId(takenLinks);
    takenLinks.add(id);
    const { bends: _bends, ...plain } = link;
    return [{ ...plain, id, from, to }];
  });
  const nodes = clip.safelightNodes.map((node) => ({ ...node, id: names.get(node.id)!, x: node.x + dx, y: node.y + dy }));
  const takenGroups = new Set(graph.groups.keys());
  const groups = clip.groups.map((group) => {
    const id = freeId(takenGroups);
    takenGroups.add(id);
    return { ...group, id, x: group.x + dx, y: group.y + dy, members: group.members.flatMap((one) => names.get(one) ?? []) };
  });
  const commands: Command[] = [{ do: "addNodes", graph: graph.id, nodes }];
  if (links.length > 0) commands.push({ do: "addLinks", graph: graph.id, links });
  if (groups.length > 0) commands.push({ do: "putGroups", graph: graph.id, groups });
  tab.document.apply({ do: "several", commands }, t("step.paste", "Paste"));
  tab.selection.set({ nodes: new Set(names.values()) });
}
