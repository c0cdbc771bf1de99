/**
 * Applying commands: the one way in which a workflow changes.
 *
 * `applyCommand` is pure. What it gives back shares everything that did not change, and its inverse brings back the
 * order of nodes, links and groups too, so that a document after all undos writes the file it was read from.
 */
import { CommandError, Draft, insertAt, removeAt, type GraphDraft } from "./draft";
import {
  ROOT,
  type Change,
  type Command,
  type GraphId,
  type GraphNode,
  type Group,
  type Link,
  type LinkId,
  type NodeId,
  type NodePatch,
  type Places,
  type Workflow,
} from "./types";

export { CommandError } from "./draft";

export interface Applied {
  readonly workflow: Workflow;
  readonly inverse: Command;
  /** One entry for each graph that changed. */
  readonly changes: readonly Change[];
}

const NOTHING: Command = { do: "several", commands: [] };

/** Raises `CommandError` when the command does not fit the workflow, which then is as it was. */
export function applyCommand(workflow: Workflow, command: Command): Applied {
  const draft = new Draft(workflow);
  const inverse = run(draft, command);
  return { ...draft.finish(), inverse };
}

/** One command out of several, without needless nesting. */
export function several(commands: readonly Command[]): Command {
  const flat = commands.flatMap((one) => (one.do === "several" ? one.commands : [one]));
  return flat.length === 1 ? flat[0]! : { do: "several", commands: flat };
}

function run(draft: Draft, command: Command): Command {
  switch (command.do) {
    case "addNodes":
      return addNodes(draft.graph(command.graph), command.graph, command.nodes, command.at);
    case "removeNodes":
      return removeNodes(draft, command.graph, command.ids);
    case "updateNode":
      return updateNode(draft.graph(command.graph), command.graph, command.id, command.set);
    case "setValue":
      return setValue(draft.graph(command.graph), command);
    case "moveNodes":
      return moveNodes(draft.graph(command.graph), command);
    case "addLinks":
      return addLinks(draft.graph(command.graph), command.graph, command.links, command.at);
    case "removeLinks":
      return removeLinks(draft.graph(command.graph), command.graph, command.ids);
    case "updateLink":
      return updateLink(draft.graph(command.graph), command);
    case "putGroups":
      return putGroups(draft.graph(command.graph), command.graph, command.groups, command.at);
    case "removeGroups":
      return removeGroups(draft.graph(command.graph), command);
    case "putGraph":
    case "removeGraph":
      return replaceGraph(draft, command);
    case "placeBorder": {
      const inside = draft.graph(command.graph);
      const at = inside.borders[command.border] ?? null;
      inside.placeBorder(command.border, command.at);
      return { ...command, at };
    }
    case "setBookmark": {
      const to = draft.bookmarks[command.digit] ?? null;
      draft.setBookmark(command.digit, command.to);
      return { ...command, to };
    }
    case "setForm": {
      const inverse: Command = { do: "setForm", form: draft.form };
      draft.setForm(command.form);
      return inverse;
    }
    case "several":
      return several(command.commands.map((one) => run(draft, one)).reverse());
  }
}

function addNodes(draft: GraphDraft, graph: GraphId, nodes: readonly GraphNode[], at: Places | undefined): Command {
  for (const node of nodes) {
    if (draft.nodes.has(node.id)) throw new CommandError(`there is a node ${node.id} already`);
    draft.touched.nodes.add(node.id);
  }
  if (nodes.length === 0) return NOTHING;
  insertAt(
    draft.writeNodes(),
    nodes.map((node) => [node.id, node] as const),
    at,
  );
  draft.structure = true;
  return { do: "removeNodes", graph, ids: nodes.map((node) => node.id) };
}

function removeNodes(draft: Draft, graph: GraphId, ids: readonly NodeId[]): Command {
  const inside = draft.graph(graph);
  const gone = new Set(ids.filter((id) => inside.nodes.has(id)));
  if (gone.size === 0) return NOTHING;
  const links = new Set<LinkId>();
  for (const id of gone) {
    const { in: incoming, out } = inside.adjacency.of(id);
    for (const link of incoming) links.add(link.id);
    for (const link of out) links.add(link.id);
  }
  const inverse = [removeLinks(inside, graph, [...links])];
  const groups = [...inside.groups.values()].filter((group) => group.members.some((id) => gone.has(id)));
  if (groups.length > 0) {
    const left = groups.map((group) => ({ ...group, members: group.members.filter((id) => !gone.has(id)) }));
    inverse.push(putGroups(inside, graph, left, undefined));
  }
  if (graph === ROOT && draft.form.some((field) => gone.has(field.node))) {
    inverse.push({ do: "setForm", form: draft.form });
    draft.setForm(draft.form.filter((field) => !gone.has(field.node)));
  }
  const { removed, at } = removeAt(inside.writeNodes(), gone);
  for (const id of gone) inside.touched.nodes.add(id);
  inside.structure = true;
  inverse.push({ do: "addNodes", graph, nodes: removed, ...(at && { at }) });
  return several(inverse.reverse());
}

function updateNode(draft: GraphDraft, graph: GraphId, id: NodeId, set: NodePatch): Command {
  const node = draft.node(id);
  const next: Record<string, unknown> = { ...node };
  const back: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(set)) {
    back[key] = node[key as keyof GraphNode];
    if (value === undefined) delete next[key];
    else next[key] = value;
  }
  draft.setNode(next as unknown as GraphNode);
  const inverse: Command[] = [{ do: "updateNode", graph, id, set: back as NodePatch }];
  if (set.inputs !== undefined || set.outputs !== undefined) {
    const { in: incoming, out } = draft.adjacency.of(id);
    const cut = [...incoming, ...out].filter((link) => draft.fault(link) !== undefined).map((link) => link.id);
    // Undone after the slots are back, so it comes last.
    if (cut.length > 0) inverse.push(removeLinks(draft, graph, cut));
    draft.structure = true;
  }
  return several(inverse);
}

function setValue(draft: GraphDraft, command: Extract<Command, { do: "setValue" }>): Command {
  const { graph, id, input, value } = command;
  const node = draft.node(id);
  const values = { ...node.values };
  const before = Object.hasOwn(values, input) ? values[input] : undefined;
  if (value === undefined) delete values[input];
  else Object.defineProperty(values, input, { value, enumerable: true, configurable: true, writable: true });
  draft.setNode({ ...node, values });
  return { do: "setValue", graph, id, input, value: before };
}

function moveNodes(draft: GraphDraft, command: Extract<Command, { do: "moveNodes" }>): Command {
  const back = command.to.map(({ id, x, y }) => {
    const node = draft.node(id);
    draft.setNode({ ...node, x, y });
    return { id, x: node.x, y: node.y };
  });
  return { do: "moveNodes", graph: command.graph, to: back.reverse() };
}

function addLinks(draft: GraphDraft, graph: GraphId, links: readonly Link[], at: Places | undefined): Command {
  if (links.length === 0) return NOTHING;
  const inputs = new Set<string>();
  for (const link of links) {
    if (draft.links.has(link.id)) throw new CommandError(`there is a link ${link.id} already`);
    const fault = draft.fault(link);
    if (fault !== undefined) throw new CommandError(fault);
    const input = `${link.to} ${link.input}`;
    if (inputs.has(input)) throw new CommandError(`two links for input ${link.input} of node ${link.to}`);
    inputs.add(input);
  }
  const replaced = links.flatMap((link) => draft.adjacency.into(link.to, link.input)?.id ?? []);
  const bringBack = replaced.length > 0 ? removeLinks(draft, graph, replaced) : NOTHING;
  insertAt(
    draft.writeLinks(),
    links.map((link) => [link.id, link] as const),
    at,
  );
  for (const link of links) {
    draft.adjacency.add(link);
    draft.touchLink(link);
  }
  draft.structure = true;
  return several([{ do: "removeLinks", graph, ids: links.map((link) => link.id) }, bringBack]);
}

function removeLinks(draft: GraphDraft, graph: GraphId, ids: readonly LinkId[]): Command {
  const gone = new Set(ids.filter((id) => draft.links.has(id)));
  if (gone.size === 0) return NOTHING;
  const { removed, at } = removeAt(draft.writeLinks(), gone);
  for (const link of removed) {
    draft.adjacency.remove(link);
    draft.touchLink(link);
  }
  draft.structure = true;
  return { do: "addLinks", graph, links: removed, ...(at && { at }) };
}

function updateLink(draft: GraphDraft, command: Extract<Command, { do: "updateLink" }>): Command {
  const link = draft.links.get(command.id);
  if (link === undefined) throw new CommandError(`there is no link ${command.id}`);
  const next: Record<string, unknown> = { ...link };
  const back: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(command.set)) {
    back[key] = link[key as keyof Link];
    if (value === undefined) delete next[key];
    else next[key] = value;
  }
  const changed = next as unknown as Link;
  draft.writeLinks().set(link.id, changed);
  draft.adjacency.remove(link);
  draft.adjacency.add(changed);
  draft.touched.links.add(link.id);
  return { do: "updateLink", graph: command.graph, id: link.id, set: back };
}

function putGroups(draft: GraphDraft, graph: GraphId, groups: readonly Group[], at: Places | undefined): Command {
  if (groups.length === 0) return NOTHING;
  const before = groups.flatMap((group) => draft.groups.get(group.id) ?? []);
  const added = groups.filter((group) => !draft.groups.has(group.id));
  const write = draft.writeGroups();
  for (const group of groups) {
    if (write.has(group.id)) write.set(group.id, group);
    draft.touched.groups.add(group.id);
  }
  insertAt(
    write,
    added.map((group) => [group.id, group] as const),
    added.length === groups.length ? at : undefined,
  );
  const inverse: Command[] = [];
  if (added.length > 0) {
    draft.structure = true;
    inverse.push({ do: "removeGroups", graph, ids: added.map((group) => group.id) });
  }
  if (before.length > 0) inverse.push({ do: "putGroups", graph, groups: before });
  return several(inverse);
}

function removeGroups(draft: GraphDraft, command: Extract<Command, { do: "removeGroups" }>): Command {
  const gone = new Set(command.ids.filter((id) => draft.groups.has(id)));
  if (gone.size === 0) return NOTHING;
  const { removed, at } = removeAt(draft.writeGroups(), gone);
  for (const id of gone) draft.touched.groups.add(id);
  draft.structure = true;
  return { do: "putGroups", graph: command.graph, groups: removed, ...(at && { at }) };
}

function replaceGraph(draft: Draft, command: Extract<Command, { do: "putGraph" | "removeGraph" }>): Command {
  const id = command.do === "putGraph" ? command.definition.id : command.graph;
  if (command.do === "removeGraph" && id === ROOT) throw new CommandError("the workflow itself cannot be removed");
  if (!draft.has(id) && command.do === "removeGraph") return NOTHING;
  const graphs = draft.writeGraphs(id);
  const before = graphs.get(id);
  if (command.do === "removeGraph") {
    const { removed, at } = removeAt(graphs, new Set([id]));
    return { do: "putGraph", definition: removed[0]!, ...(at && { at: at[0]! }) };
  }
  if (before !== undefined) graphs.set(id, command.definition);
  else insertAt(graphs, [[id, command.definition] as const], command.at === undefined ? undefined : [command.at]);
  return before !== undefined ? { do: "putGraph", definition: before } : { do: "removeGraph", graph: id };
}
