/** The API prompt of a workflow: what is sent when it runs. */
import { withEntry } from "../json";
import { nestedWidgets, declaredWidgets, isEditorValue, type Widget } from "../widgets";
import type { GraphNode, Json, NodeSpec, Specs, Workflow } from "../types";
import { resolved, seedsOf } from "./dynamicText";
import { groupMember } from "./groupNodes";
import { definitionsOf, expand, type Scope } from "./scopes";
import { Tracer, VIRTUAL_TYPES } from "./trace";

export { checkNesting, definitionsOf, PromptError } from "./scopes";
export { bypassSlot, PRIMITIVE, REROUTES, VIRTUAL_TYPES } from "./trace";

export interface PromptNode {
  readonly class_type: string;
  readonly inputs: { readonly [name: string]: Json };
  readonly _meta: { readonly title: string };
}

export type Prompt = { readonly [id: string]: PromptNode };

/** Wraps a constant that is a list, because a bare list of two may be a link. */
const VALUE_KEY = "__value__";

/** Raises `PromptError` when a subgraph contains itself or the whole unfolds beyond all measure. */
export function toPrompt(workflow: Workflow, specs: Specs): Prompt {
  const definitions = definitionsOf(workflow);
  const placed = expand(workflow, definitions, specs);
  const tracer = new Tracer(definitions);
  const widgets = new Map<string, readonly Widget[]>();
  const made = new Map<string, PromptNode>();
  for (const [scope, node] of placed) {
    if (node.mode !== "always" || VIRTUAL_TYPES.has(node.type)) continue;
    made.set(scope.prefix + node.id, promptNode(scope, node, specs, tracer, widgets));
  }
  if (workflow.extra?.form !== "api") resolveTexts(made, specs);
  return withoutDangling(made);
}

/** Texts with choices and comments in them become what is to be sent; those of API prompts are resolved already. */
function resolveTexts(nodes: ReadonlyMap<string, PromptNode>, specs: Specs): void {
  let seeds: string | undefined;
  for (const [id, node] of nodes) {
    for (const input of specs.get(node.class_type)?.inputs ?? []) {
      const text = input.options.dynamicPrompts === true ? node.inputs[input.name] : undefined;
      if (typeof text !== "string") continue;
      (node.inputs as Record<string, Json>)[input.name] = resolved(
        id,
        input.name,
        text,
        (seeds ??= seedsOf(nodes.values())),
      );
    }
  }
}

function promptNode(
  scope: Scope,
  placed: GraphNode,
  specs: Specs,
  tracer: Tracer,
  known: Map<string, readonly Widget[]>,
): PromptNode {
  const spec = specs.get(placed.type);
  const node = scope.graph.extra?.group === true ? groupMember(placed, specs) : placed;
  const inputs = sentValues(node, spec, known);
  for (const [name, value] of scope.overrides.get(node.id) ?? []) {
    if (Object.hasOwn(inputs, name)) inputs[name] = wrapped(value);
  }
  // In the order of the slots, whatever was linked first: the same workflow is the same text.
  const incoming = scope.index.of(node.id).in.toSorted((one, other) => one.input - other.input);
  for (const link of incoming) {
    const slot = node.inputs[link.input];
    if (slot === undefined || slot.name === "") continue;
    const fed = tracer.source(scope, link, slot.type);
    if (fed.kind === "link") withEntry(inputs, slot.name, [fed.node, fed.slot] as Json);
    else if (fed.kind === "value") withEntry(inputs, slot.name, wrapped(fed.value));
    else if (fed.kind === "muted") delete inputs[slot.name];
  }
  return { inputs, class_type: node.type, _meta: { title: node.title ?? spec?.title ?? node.type } };
}

/** The values of a node's widgets by input name: those of its type first, then what else the node holds. */
function sentValues(
  node: GraphNode,
  spec: NodeSpec | undefined,
  known: Map<string, readonly Widget[]>,
): Record<string, Json> {
  const inputs: Record<string, Json> = {};
  const values = node.values;
  const exact = node.extra?.api !== undefined;
  if (spec !== undefined) {
    const pending = [...widgetsFor(spec, node, known)].reverse();
    for (let widget = pending.pop(); widget !== undefined; widget = pending.pop()) {
      const own = Object.hasOwn(values, widget.name) ? values[widget.name] : undefined;
      const value = own === undefined || own === null ? widget.default : own;
      if (widget.input !== undefined && widget.input.type !== "COMBO")
        pending.push(...nestedWidgets(widget.input, value).reverse());
      if (widget.sent && value !== undefined) withEntry(inputs, widget.name, wrapped(value));
    }
  }
  for (const [name, value] of Object.entries(values)) {
    if (isEditorValue(name) || Object.hasOwn(inputs, name)) continue;
    // A null stands for a default, but an API prompt means what it says.
    if (value === null && !exact) continue;
    withEntry(inputs, name, wrapped(value));
  }
  return inputs;
}

/** Widgets of a type; those that depend on which sockets the node has are looked up for each node. */
function widgetsFor(spec: NodeSpec, node: GraphNode, known: Map<string, readonly Widget[]>): readonly Widget[] {
  let found = known.get(spec.type);
  if (found === undefined) {
    found = declaredWidgets(spec, []);
    known.set(spec.type, found);
  }
  const plain = found.every((widget) => widget.input === undefined || !widget.input.type.includes("_"));
  return plain ? found : declaredWidgets(spec, node.inputs);
}

function wrapped(value: Json): Json {
  return Array.isArray(value) ? { [VALUE_KEY]: value as Json } : value;
}

/** Links to nodes that were left out go too. */
function withoutDangling(nodes: ReadonlyMap<string, PromptNode>): Prompt {
  const prompt: Record<string, PromptNode> = {};
  for (const [id, node] of nodes) {
    for (const [name, value] of Object.entries(node.inputs)) {
      if (Array.isArray(value) && !nodes.has(value[0] as string)) delete (node.inputs as Record<string, Json>)[name];
    }
    withEntry(prompt, id, node);
  }
  return prompt;
}
