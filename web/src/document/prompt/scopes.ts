/**
 * Flattening: instances of subgraphs become the nodes inside them, with ids `instance:inner`.
 *
 * A scope is one use of a graph: the workflow, or a definition at one place. Group nodes, the older form of subgraphs,
 * are definitions as well here.
 */
import { linkIndex, type LinkIndex } from "../adjacency";
import { proxiesOf, proxyName } from "../read/instances";
import {
  INPUTS,
  OUTPUTS,
  ROOT,
  type Graph,
  type GraphNode,
  type Json,
  type Link,
  type NodeId,
  type Specs,
  type Workflow,
} from "../types";
import { groupName, groupOverrides, readGroupNodes } from "./groupNodes";

/** Far above any real workflow; a definition that doubles itself twenty times over must not fill the memory. */
const MAX_NODES = 200_000;
const MAX_PREFIX = 4_000;

/** What keeps a workflow from becoming a prompt; `node` is the one to show. */
export class PromptError extends Error {
  override readonly name = "PromptError";
  constructor(
    message: string,
    readonly node?: NodeId,
  ) {
    super(message);
  }
}

export interface Scope {
  readonly graph: Graph;
  readonly index: LinkIndex;
  readonly prefix: string;
  readonly parent: Scope | undefined;
  readonly instance: GraphNode | undefined;
  /** Values that the instance sets inside, by inner node and widget. */
  readonly overrides: ReadonlyMap<NodeId, ReadonlyMap<string, Json>>;
  /** Values of the subgraph's own inputs, by name. */
  readonly given: ReadonlyMap<string, Json>;
  readonly children: Map<NodeId, Scope>;
}

export type Definitions = (type: string) => Graph | undefined;

export function definitionsOf(workflow: Workflow): Definitions {
  const groups = readGroupNodes(workflow);
  return (type) => (type === ROOT ? undefined : (workflow.graphs.get(type) ?? groups.get(groupName(type) ?? "")));
}

/** Every node that may run with the scope it stands in. Muted and bypassed instances are not entered. */
export function expand(workflow: Workflow, definitions: Definitions, specs: Specs): (readonly [Scope, GraphNode])[] {
  const root = workflow.graphs.get(ROOT)!;
  checkNesting(root, definitions);
  const top: Scope = {
    graph: root,
    index: linkIndex(root.links),
    prefix: "",
    parent: undefined,
    instance: undefined,
    overrides: new Map(),
    given: new Map(),
    children: new Map(),
  };
  const found: (readonly [Scope, GraphNode])[] = [];
  const stack: { scope: Scope; rest: Iterator<GraphNode> }[] = [{ scope: top, rest: root.nodes.values() }];
  let visited = 0;
  for (let last = stack.at(-1); last !== undefined; last = stack.at(-1)) {
    const { done, value: node } = last.rest.next();
    if (done) {
      stack.pop();
      continue;
    }
    visited += 1;
    if (visited > MAX_NODES || last.scope.prefix.length > MAX_PREFIX)
      throw new PromptError("the workflow unfolds to too many nodes");
    const graph = definitions(node.type);
    if (graph === undefined) found.push([last.scope, node]);
    else if (node.mode === "always") {
      const child = enter(last.scope, node, graph, specs);
      last.scope.children.set(node.id, child);
      stack.push({ scope: child, rest: graph.nodes.values() });
    }
  }
  return found;
}

function enter(parent: Scope, node: GraphNode, graph: Graph, specs: Specs): Scope {
  const overrides = new Map<NodeId, Map<string, Json>>();
  const given = new Map<string, Json>();
  const set = (inner: NodeId, name: string, value: Json) => {
    let at = overrides.get(inner);
    if (at === undefined) overrides.set(inner, (at = new Map()));
    at.set(name, value);
  };
  if (groupName(node.type) !== undefined && graph.extra?.group === true) {
    for (const [inner, name, value] of groupOverrides(node, graph, specs)) set(inner, name, value);
  }
  // What stands around an instance may set its widgets too, and then it wins.
  const outer = parent.overrides.get(node.id);
  const valueOf = (name: string, widget: string): Json | undefined => {
    for (const [key, value] of outer ?? []) {
      if (key === widget || key === name || key.slice(key.lastIndexOf(": ") + 2) === widget) return value;
    }
    return Object.hasOwn(node.values, name) ? node.values[name] : undefined;
  };
  for (const slot of graph.inputs) {
    const value = valueOf(slot.name, slot.name);
    // A null leaves the value inside as it is.
    if (value !== undefined && value !== null) given.set(slot.name, value);
  }
  for (const [inner, widget] of proxiesOf(node)) {
    const value = valueOf(proxyName(inner, widget), widget);
    if (value !== undefined && value !== null && inner !== "-1") set(inner, widget, value);
  }
  return {
    graph,
    index: linkIndex(graph.links),
    prefix: `${parent.prefix}${node.id}:`,
    parent,
    instance: node,
    overrides,
    given,
    children: new Map(),
  };
}

/** The link that feeds an output of a subgraph. */
export function exitOf(scope: Scope, output: number): Link | undefined {
  return scope.index.into(OUTPUTS, output);
}

export function comesFromOutside(scope: Scope, link: Link): boolean {
  return link.from === INPUTS && scope.parent !== undefined;
}

/** Raises `PromptError`, naming the way round, when a definition contains itself, directly or through others. */
export function checkNesting(root: Graph, definitions: Definitions): void {
  const done = new Set<Graph>();
  const path: Graph[] = [root];
  const stack = [root.nodes.values()];
  for (let nodes = stack.at(-1); nodes !== undefined; nodes = stack.at(-1)) {
    const { done: ended, value: node } = nodes.next();
    if (ended) {
      stack.pop();
      done.add(path.pop()!);
      continue;
    }
    const inner = definitions(node.type);
    if (inner === undefined || done.has(inner)) continue;
    if (path.includes(inner)) {
      const names = [...path.slice(path.indexOf(inner)), inner].map((one) => `"${one.name}"`);
      throw new PromptError(`a subgraph contains itself: ${names.join(" -> ")}`, node.id);
    }
    path.push(inner);
    stack.push(inner.nodes.values());
  }
}
