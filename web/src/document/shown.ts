/**
 * What a node shows: its widgets and sockets in order, whatever it is: a node type of the server, an instance of a
 * subgraph, a primitive, a note, or a type that nobody knows.
 */
import { linkIndex } from "./adjacency";
import { proxiesOf, proxyName } from "./read/instances";
import { defaultOf, effectiveInputs, readInput } from "./specs";
import {
  INPUTS,
  ROOT,
  type Graph,
  type GraphNode,
  type InputSpec,
  type Json,
  type NodeSpec,
  type Slot,
  type Specs,
  type Workflow,
} from "./types";
import { controlName, hasControl } from "./widgets";

export interface ShownInput {
  readonly input: InputSpec;
  /** Its place among the node's input slots; undefined for a widget that is no socket (yet). */
  readonly slot: number | undefined;
  readonly linked: boolean;
  /** What the widget holds, or its default; undefined for sockets. */
  readonly value: Json | undefined;
  /** The name under which the node's values hold what becomes of the value after a run, when there is such a choice. */
  readonly control?: string;
  readonly label: string;
}

const NOTES: ReadonlySet<string> = new Set(["Note", "MarkdownNote"]);
const instanceSpecs = new WeakMap<Graph, WeakMap<Specs, NodeSpec>>();

/** The description of a node's type, also of a subgraph. */
export function specOf(workflow: Workflow, node: GraphNode, specs: Specs): NodeSpec | undefined {
  const definition = node.type === ROOT ? undefined : workflow.graphs.get(node.type);
  if (definition === undefined) return specs.get(node.type);
  let known = instanceSpecs.get(definition);
  if (known === undefined) instanceSpecs.set(definition, (known = new WeakMap()));
  let spec = known.get(specs);
  if (spec === undefined) known.set(specs, (spec = definitionSpec(workflow, definition, specs)));
  return spec;
}

function definitionSpec(workflow: Workflow, definition: Graph, specs: Specs): NodeSpec {
  const fed = new Map<number, InputSpec>();
  for (const link of definition.links.values()) {
    const node = link.from === INPUTS ? definition.nodes.get(link.to) : undefined;
    const widget = node?.inputs[link.input]?.widget;
    if (node === undefined || widget === undefined || fed.has(link.output)) continue;
    fed.set(link.output, widgetInside(workflow, node, widget, specs));
  }
  const inputs = definition.inputs.map((slot, place): InputSpec => {
    const inner = fed.get(place);
    return inner ? { ...inner, name: slot.name, group: "optional" } : readInput(slot.name, slot.type, "optional");
  });
  const sockets = inputs.map((input, place) => (fed.has(place) ? input : { ...input, widget: false }));
  return {
    type: definition.id,
    title: definition.name,
    category: "",
    description: "",
    inputs: sockets,
    outputs: definition.outputs.map((slot) => ({ name: slot.name, type: slot.type, list: false })),
    isOutput: false,
    deprecated: false,
    experimental: false,
  };
}

/** The description of an inner node's widget, with what it holds inside as its default. */
function widgetInside(workflow: Workflow, node: GraphNode, widget: string, specs: Specs): InputSpec {
  const declared = specOf(workflow, node, specs)?.inputs.find((input) => input.name === widget);
  const value = Object.hasOwn(node.values, widget) ? node.values[widget] : undefined;
  const found = declared ?? guessed(widget, value);
  return value === undefined || value === null ? found : { ...found, default: value };
}

/** A widget that is known by its value alone. */
function guessed(name: string, value: Json | undefined): InputSpec {
  switch (typeof value) {
    case "number":
      return readInput(name, [Number.isInteger(value) ? "INT" : "FLOAT", {}], "optional");
    case "boolean":
      return readInput(name, ["BOOLEAN", {}], "optional");
    case "string":
      return readInput(name, ["STRING", { multiline: value.length > 40 || value.includes("\n") }], "optional");
    default:
      return { ...readInput(name, ["JSON", {}], "optional"), widget: true };
  }
}

export function shownInputs(workflow: Workflow, graph: Graph, node: GraphNode, specs: Specs): readonly ShownInput[] {
  const incoming = linkIndex(graph.links).of(node.id).in;
  const places = new Map(node.inputs.map((slot, place) => [slot.name, place]));
  const linked = (name: string) => {
    const place = places.get(name);
    return place !== undefined && incoming.some((link) => link.input === place);
  };
  const shown: ShownInput[] = [];
  const named = new Set<string>();
  const add = (input: InputSpec) => {
    const slot = places.get(input.name);
    const label = (slot === undefined ? undefined : node.inputs[slot]!.label) ?? input.name;
    named.add(input.name);
    const value = input.widget
      ? Object.hasOwn(node.values, input.name)
        ? node.values[input.name]
        : defaultOf(input)
      : undefined;
    shown.push({
      input,
      slot,
      linked: linked(input.name),
      value,
      label,
      ...(input.widget && hasControl(input) && { control: controlName(input.name) }),
    });
  };
  const spec = specOf(workflow, node, specs);
  for (const input of spec === undefined ? [] : effectiveInputs(spec.inputs, node.values, linked)) {
    if (input.group !== "hidden") add(input);
  }
  const definition = spec === undefined ? undefined : workflow.graphs.get(node.type);
  for (const [inner, widget] of definition === undefined ? [] : proxiesOf(node)) {
    const at = definition!.nodes.get(inner);
    const name = proxyName(inner, widget);
    if (at !== undefined && !named.has(name)) add({ ...widgetInside(workflow, at, widget, specs), name });
  }
  // Sockets that the type does not declare, and values of types that nobody knows.
  for (const slot of node.inputs) if (!named.has(slot.name)) add(bare(slot, node));
  if (spec === undefined || node.type === "PrimitiveNode" || NOTES.has(node.type)) {
    for (const [name, value] of Object.entries(node.values)) {
      if (named.has(name) || /:(control|filter)$/.test(name)) continue;
      const input =
        node.type === "PrimitiveNode"
          ? (primitive(workflow, graph, node, specs) ?? guessed(name, value))
          : guessed(name, value);
      add({ ...input, name, ...(NOTES.has(node.type) && { multiline: true }) });
    }
  }
  return shown;
}

function bare(slot: Slot, node: GraphNode): InputSpec {
  if (slot.widget === undefined) return { ...readInput(slot.name, slot.type, "optional"), widget: false };
  const value = node.values[slot.widget];
  return value === undefined
    ? readInput(slot.name, slot.type, "optional")
    : { ...guessed(slot.name, value), type: slot.type };
}

/** A primitive shows the widget that it is wired to. */
function primitive(workflow: Workflow, graph: Graph, node: GraphNode, specs: Specs): InputSpec | undefined {
  const link = linkIndex(graph.links).of(node.id).out[0];
  const target = link && graph.nodes.get(link.to);
  const slot = link && target?.inputs[link.input];
  if (target === undefined || slot === undefined) return undefined;
  const found = specOf(workflow, target, specs)?.inputs.find((input) => input.name === (slot.widget ?? slot.name));
  return found === undefined
    ? undefined
    : {
        ...found,
        options: {
          ...found.options,
          control_after_generate: found.type === "INT" || found.type === "FLOAT" || found.type === "COMBO",
        },
      };
}
