/** Taking single changes of one version into another, and merging two versions that grew from a third. */
import { ROOT, type GraphId, type GraphNode, type NodeId, type Workflow } from "../../document/types";
import { atomsOf, keyOf, workflowOf, type Atom, type Atoms, type Key } from "./atoms";

/** What both sides changed, each in its own way. */
export interface Conflict {
  readonly key: Key;
  readonly graph: GraphId;
  readonly id: string;
  readonly kind: Atom["kind"];
  readonly name: string;
  /** The facts of both; undefined where one has taken it away. */
  readonly mine: Atom | undefined;
  readonly theirs: Atom | undefined;
}
export interface Merge {
  readonly conflicts: readonly Conflict[];
  /** How many facts only one side has changed. */
  readonly fromMine: number;
  readonly fromTheirs: number;
  /** The merged workflow; conflicts whose keys are in `theirs` are decided for them, all others for mine. */
  finish(theirs: ReadonlySet<Key>): Workflow;
}

/** The workflow with what `wanted` names taken from another: facts that it lacks there are taken away. */
export function taking(now: Workflow, from: Workflow, wanted: (atom: Atom) => boolean): Workflow {
  const [mine, theirs] = [atomsOf(now), atomsOf(from)];
  const made = new Map(mine);
  for (const [key, atom] of theirs) if (wanted(atom)) made.set(key, atom);
  for (const [key, atom] of mine) if (wanted(atom) && !theirs.has(key)) made.delete(key);
  return workflowOf(made, now);
}

/** All of a node: what it is, its values and what leads to it, and with `leaving` what it leads to. */
export const ofNode = (graph: GraphId, id: NodeId, leaving = false) => (atom: Atom): boolean =>
  atom.graph === graph && ((atom.id === id && atom.kind !== "group" && atom.kind !== "form") || (leaving && atom.kind === "link" && (atom.holds as { from: NodeId }).from === id));
/** One value of a node, or the link that stands in its place. */
export const ofInput = (graph: GraphId, id: NodeId, name: string) => (atom: Atom): boolean => atom.graph === graph && atom.id === id && (atom.kind === "value" || atom.kind === "link" || (atom.kind === "field" && (name === "mode" || name === "title"))) && atom.name === name;

export function merge(base: Workflow, mine: Workflow, theirs: Workflow): Merge {
  const moved = apartFrom(base, mine, theirs);
  const [was, own, other] = [atomsOf(base), atomsOf(mine), atomsOf(moved)];
  const made = new Map(own);
  const conflicts: Conflict[] = [];
  let fromMine = 0;
  let fromTheirs = 0;
  for (const key of new Set([...own.keys(), ...other.keys(), ...was.keys()])) {
    const [before, here, there] = [was.get(key), own.get(key), other.get(key)];
    if (here?.text === there?.text) continue;
    if (there?.text === before?.text) fromMine += 1;
    else if (here?.text === before?.text) {
      fromTheirs += 1;
      if (there) made.set(key, there);
      else made.delete(key);
    } else {
      const atom = (here ?? there)!;
      // Where something stands and how large it is, is nobody's work lost.
      if (atom.kind !== "field" || !/^(place|size|collapsed)$/.test(atom.name)) conflicts.push({ key, graph: atom.graph, id: atom.id, kind: atom.kind, name: atom.name, mine: here, theirs: there });
    }
  }
  const gone = removedUnderChange(was, own, other, made);
  const told = [...gone.values(), ...conflicts.filter((one) => !gone.has(keyOf("node", one.graph, one.id)))];
  return {
    conflicts: told,
    fromMine,
    fromTheirs,
    finish(chosen) {
      const done = new Map(made);
      for (const one of told) decide(done, chosen.has(one.key) ? other : own, one);
      return workflowOf(done, mine);
    },
  };
}

/** A node that one side removed while the other changed something in it: the question is whether it stays. */
function removedUnderChange(was: Atoms, own: Atoms, other: Atoms, made: Map<Key, Atom>): ReadonlyMap<Key, Conflict> {
  const found = new Map<Key, Conflict>();
  for (const [key, atom] of was) {
    if (atom.kind !== "node" || own.has(key) === other.has(key)) continue;
    const keeps = own.has(key) ? own : other;
    const touched = [...new Set([...keeps.keys(), ...was.keys()])].some((one) => {
      const about = keeps.get(one) ?? was.get(one)!;
      return about.graph === atom.graph && about.id === atom.id && about.kind !== "group" && !(about.kind === "field" && about.name === "place") && keeps.get(one)?.text !== was.get(one)?.text;
    });
    if (!touched) continue;
    found.set(key, { key, graph: atom.graph, id: atom.id, kind: "node", name: "", mine: own.get(key), theirs: other.get(key) });
    if (own.has(key)) made.set(key, own.get(key)!);
  }
  return found;
}

/** Take a conflict's fact from one side; of a node all that is about it, and the links that leave it. */
function decide(made: Map<Key, Atom>, side: Atoms, one: Conflict): void {
  if (one.kind !== "node") {
    const atom = side.get(one.key);
    if (atom) made.set(one.key, atom);
    else made.delete(one.key);
    return;
  }
  const wanted = ofNode(one.graph, one.id, true);
  for (const [key, atom] of [...made]) if (wanted(atom)) made.delete(key);
  for (const [key, atom] of side) if (wanted(atom)) made.set(key, atom);
}

/** Theirs with other ids for nodes that both sides added under one id and that are not the same. */
function apartFrom(base: Workflow, mine: Workflow, theirs: Workflow): Workflow {
  const graphs = new Map(theirs.graphs);
  let form = theirs.form;
  for (const [id, graph] of theirs.graphs) {
    const own = mine.graphs.get(id);
    const taken = new Set([...(own?.nodes.keys() ?? []), ...graph.nodes.keys()]);
    const names = new Map<NodeId, NodeId>();
    let next = 1;
    for (const node of graph.nodes.values()) {
      const same = own?.nodes.get(node.id);
      if (base.graphs.get(id)?.nodes.has(node.id) || same === undefined || JSON.stringify(same) === JSON.stringify(node)) continue;
      while (taken.has(String(next))) next += 1;
      taken.add(String(next));
      names.set(node.id, String(next));
    }
    if (names.size === 0) continue;
    const renamed = (one: NodeId): NodeId => names.get(one) ?? one;
    const nodes = new Map<NodeId, GraphNode>([...graph.nodes.values()].map((node) => [renamed(node.id), { ...node, id: renamed(node.id) }]));
    const links = new Map([...graph.links].map(([key, link]) => [key, { ...link, from: renamed(link.from), to: renamed(link.to) }]));
    const groups = new Map([...graph.groups].map(([key, group]) => [key, { ...group, members: group.members.map(renamed) }]));
    graphs.set(id, { ...graph, nodes, links, groups });
    if (id === ROOT) form = form.map((field) => ({ ...field, node: renamed(field.node) }));
  }
  return { ...theirs, graphs, form };
}
