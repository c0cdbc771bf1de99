/**
 * A workflow while one command changes it: each map is copied when it is first written to, and only then.
 */
import { giveIndex, linkIndex, takeIndex, type LinkIndex } from "./adjacency";
import {
  INPUTS,
  OUTPUTS,
  ROOT,
  type Bookmark,
  type Borders,
  type Change,
  type FormField,
  type Graph,
  type GraphId,
  type Group,
  type GroupId,
  type GraphNode,
  type Link,
  type LinkId,
  type NodeId,
  type Places,
  type Workflow,
} from "./types";

/** A command that does not fit the document: a mistake of the caller, never of the user. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Removes keys from a copied map and says where they stood, or nothing when they stood at its end. */
export function removeAt<K, V>(map: Map<K, V>, keys: ReadonlySet<K>): { removed: V[]; at?: Places } {
  const removed: V[] = [];
  const places: number[] = [];
  let place = 0;
  for (const [key, value] of map) {
    if (keys.has(key)) {
      removed.push(value);
      places.push(place);
    }
    place += 1;
  }
  for (const key of keys) map.delete(key);
  const atEnd = places.length === 0 || places[0] === place - places.length;
  return atEnd ? { removed } : { removed, at: places };
}

/** Adds entries to a copied map, at the places they shall have afterwards. */
export function insertAt<K, V>(map: Map<K, V>, entries: readonly (readonly [K, V])[], at: Places | undefined): void {
  if (at === undefined) {
    for (const [key, value] of entries) map.set(key, value);
    return;
  }
  const rest = [...map];
  map.clear();
  let taken = 0;
  for (const [number, [key, value]] of entries.entries()) {
    const place = at[number] ?? Infinity;
    while (map.size < place && taken < rest.length) {
      const [otherKey, other] = rest[taken++]!;
      map.set(otherKey, other);
    }
    map.set(key, value);
  }
  for (; taken < rest.length; taken++) map.set(rest[taken]![0], rest[taken]![1]);
}

export class GraphDraft {
  readonly touched = { nodes: new Set<NodeId>(), links: new Set<LinkId>(), groups: new Set<GroupId>() };
  structure = false;
  private ownNodes: Map<NodeId, GraphNode> | undefined;
  private ownLinks: Map<LinkId, Link> | undefined;
  private ownGroups: Map<GroupId, Group> | undefined;
  private index: LinkIndex | undefined;
  private ownBorders: Borders | undefined;

  constructor(readonly base: Graph) {}

  get nodes(): ReadonlyMap<NodeId, GraphNode> {
    return this.ownNodes ?? this.base.nodes;
  }

  get links(): ReadonlyMap<LinkId, Link> {
    return this.ownLinks ?? this.base.links;
  }

  get groups(): ReadonlyMap<GroupId, Group> {
    return this.ownGroups ?? this.base.groups;
  }

  get adjacency(): LinkIndex {
    return this.index ?? linkIndex(this.base.links);
  }

  node(id: NodeId): GraphNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new CommandError(`there is no node ${id}`);
    return node;
  }

  writeNodes(): Map<NodeId, GraphNode> {
    return (this.ownNodes ??= new Map(this.base.nodes));
  }

  writeLinks(): Map<LinkId, Link> {
    if (this.ownLinks === undefined) {
      this.ownLinks = new Map(this.base.links);
      this.index = takeIndex(this.base.links);
    }
    return this.ownLinks;
  }

  writeGroups(): Map<GroupId, Group> {
    return (this.ownGroups ??= new Map(this.base.groups));
  }

  get borders(): Borders {
    return this.ownBorders ?? this.base.borders ?? {};
  }

  placeBorder(border: keyof Borders, at: { readonly x: number; readonly y: number } | null): void {
    const now = (side: keyof Borders) => (side === border ? (at ?? undefined) : this.borders[side]);
    const [inputs, outputs] = [now("inputs"), now("outputs")];
    this.ownBorders = { ...(inputs && { inputs }), ...(outputs && { outputs }) };
    this.touched.nodes.add(border === "inputs" ? INPUTS : OUTPUTS);
  }

  setNode(node: GraphNode): void {
    this.writeNodes().set(node.id, node);
    this.touched.nodes.add(node.id);
  }

  touchLink(link: Link): void {
    this.touched.links.add(link.id);
    this.touched.nodes.add(link.from);
    this.touched.nodes.add(link.to);
  }

  /** Says what keeps a link from being valid here, or nothing. */
  fault(link: Link): string | undefined {
    const outputs = link.from === INPUTS ? this.base.inputs : this.nodes.get(link.from)?.outputs;
    const inputs = link.to === OUTPUTS ? this.base.outputs : this.nodes.get(link.to)?.inputs;
    if (outputs === undefined) return `link ${link.id} starts at node ${link.from}, which is not there`;
    if (inputs === undefined) return `link ${link.id} ends at node ${link.to}, which is not there`;
    if (outputs[link.output] === undefined) return `node ${link.from} has no output ${link.output}`;
    if (inputs[link.input] === undefined) return `node ${link.to} has no input ${link.input}`;
    return undefined;
  }

  finish(): Graph {
    if (this.ownLinks !== undefined && this.index !== undefined) giveIndex(this.ownLinks, this.index);
    if (!this.ownNodes && !this.ownLinks && !this.ownGroups && !this.ownBorders) return this.base;
    const next = { ...this.base, nodes: this.nodes, links: this.links, groups: this.groups };
    if (this.ownBorders === undefined) return next;
    const { borders } = this;
    if (borders.inputs !== undefined || borders.outputs !== undefined) return { ...next, borders };
    delete next.borders;
    return next;
  }
}

export class Draft {
  private readonly drafts = new Map<GraphId, GraphDraft>();
  private ownGraphs: Map<GraphId, Graph> | undefined;
  private readonly replaced = new Set<GraphId>();
  private ownForm: readonly FormField[] | undefined;
  private ownBookmarks: Readonly<Record<string, Bookmark>> | undefined;

  constructor(private readonly base: Workflow) {}

  get bookmarks(): Readonly<Record<string, Bookmark>> {
    return this.ownBookmarks ?? this.base.bookmarks ?? {};
  }

  setBookmark(digit: string, to: Bookmark | null): void {
    const { [digit]: _before, ...rest } = this.bookmarks;
    this.ownBookmarks = to === null ? rest : { ...rest, [digit]: to };
  }

  get form(): readonly FormField[] {
    return this.ownForm ?? this.base.form;
  }

  setForm(form: readonly FormField[]): void {
    this.ownForm = form;
  }

  has(id: GraphId): boolean {
    return (this.ownGraphs ?? this.base.graphs).has(id);
  }

  graph(id: GraphId): GraphDraft {
    let draft = this.drafts.get(id);
    if (draft === undefined) {
      const graph = (this.ownGraphs ?? this.base.graphs).get(id);
      if (graph === undefined) throw new CommandError(`there is no graph ${id}`);
      this.drafts.set(id, (draft = new GraphDraft(graph)));
    }
    return draft;
  }

  /** Puts whole definitions in or takes them away; what was drafted of them before is settled first. */
  writeGraphs(id: GraphId): Map<GraphId, Graph> {
    const graphs = (this.ownGraphs ??= new Map(this.base.graphs));
    const draft = this.drafts.get(id);
    if (draft !== undefined) {
      graphs.set(id, draft.finish());
      this.drafts.delete(id);
    }
    this.replaced.add(id);
    return graphs;
  }

  finish(): { workflow: Workflow; changes: readonly Change[] } {
    const changes: Change[] = [];
    let graphs = this.ownGraphs;
    for (const id of this.replaced) {
      const nodes = new Set([
        ...(this.base.graphs.get(id)?.nodes.keys() ?? []),
        ...(graphs?.get(id)?.nodes.keys() ?? []),
      ]);
      changes.push({ graph: id, nodes, links: new Set(), groups: new Set(), structure: true });
    }
    for (const [id, draft] of this.drafts) {
      const graph = draft.finish();
      if (graph === draft.base) continue;
      (graphs ??= new Map(this.base.graphs)).set(id, graph);
      changes.push({ graph: id, ...draft.touched, structure: draft.structure });
    }
    if ((this.ownForm ?? this.ownBookmarks) !== undefined && changes.length === 0) {
      changes.push({ graph: ROOT, nodes: new Set(), links: new Set(), groups: new Set(), structure: false });
    }
    if (changes.length === 0) return { workflow: this.base, changes };
    const workflow = { ...this.base, graphs: graphs ?? this.base.graphs, form: this.form };
    if (this.ownBookmarks === undefined) return { workflow, changes };
    const { graphs: all, form, bookmarks: _before, ...rest } = workflow;
    const { bookmarks } = this;
    return { workflow: { graphs: all, form, ...(Object.keys(bookmarks).length > 0 && { bookmarks }), ...rest }, changes };
  }
}
