import { proxiesOf, proxyName } from "../document/read/instances";
import { INPUTS, type Document, type Graph, type GraphId, type GraphNode, type InputSpec, type NodeSpec, type Slot, type Specs } from "../document/types";

function plainInput(slot: Slot): InputSpec {
  return { name: slot.name, type: slot.type, group: "required", widget: false, options: {} };
}

const NOTES = new Set(["Note", "MarkdownNote"]);

function noteInput(node: GraphNode): InputSpec {
  return { name: Object.keys(node.values)[0] ?? "#0", type: "STRING", group: "required", widget: true, multiline: true, options: {} };
}

/** A type that only the editor has. */
function ownSpec(node: GraphNode, inputs: readonly InputSpec[]): NodeSpec {
  const title = node.type.replace("Node", "").replace("Markdown", "");
  return { type: node.type, title, category: "", description: "", inputs, outputs: [], isOutput: false, deprecated: false, experimental: false };
}

/** Finds the node type of any node, subgraphs too: a subgraph's widgets are those of the inner nodes its inputs lead to. */
export class SpecSource {
  private readonly made = new WeakMap<Graph, NodeSpec>();

  constructor(
    readonly document: Document,
    readonly specs: Specs,
  ) {}

  /** `graph` is the one the node lies in: a primitive's widget is that of the input it feeds. */
  of(node: GraphNode, graph: GraphId): NodeSpec | undefined {
    const known = this.specs.get(node.type);
    if (known !== undefined) return known;
    if (NOTES.has(node.type)) return ownSpec(node, [noteInput(node)]);
    if (node.type === "PrimitiveNode") return ownSpec(node, this.primitive(node, graph));
    if (node.type === "Reroute") return ownSpec(node, []);
    const definition = node.type === "" ? undefined : this.document.workflow.graphs.get(node.type);
    if (definition === undefined) return undefined;
    let spec = this.made.get(definition);
    if (spec === undefined) {
      spec = this.fromDefinition(definition, 0);
      this.made.set(definition, spec);
    }
    const shown = this.proxies(node, definition, spec);
    return shown.length === 0 ? spec : { ...spec, inputs: [...spec.inputs, ...shown] };
  }

  private primitive(node: GraphNode, graph: GraphId): readonly InputSpec[] {
    if (node.values["value"] === undefined) return [];
    const link = this.document.linksOf(graph, node.id).out[0];
    const target = link === undefined ? undefined : this.document.node(graph, link.to);
    const slot = link === undefined ? undefined : target?.inputs[link.input];
    const fed = target === undefined ? undefined : this.specs.get(target.type)?.inputs.find((input) => input.name === (slot?.widget ?? slot?.name));
    const loose = typeof node.values["value"] === "number" ? "FLOAT" : typeof node.values["value"] === "boolean" ? "BOOLEAN" : "STRING";
    const options = node.values["value:control"] === undefined ? {} : { control_after_generate: true };
    return [{ group: "required", type: loose, ...fed, name: "value", widget: true, options: { ...fed?.options, ...options } }];
  }

  /** Widgets of inner nodes that an instance shows without an input of the subgraph for them. */
  private proxies(node: GraphNode, definition: Graph, spec: NodeSpec): readonly InputSpec[] {
    return proxiesOf(node).flatMap(([inner, widget]) => {
      const name = proxyName(inner, widget);
      const within = definition.nodes.get(inner);
      const input = within === undefined ? undefined : this.of(within, definition.id)?.inputs.find((one) => one.name === widget);
      if (input?.widget !== true || spec.inputs.some((one) => one.name === name)) return [];
      const value = within?.values[widget];
      return [{ ...input, name, options: { ...input.options, display_name: widget }, ...(value === undefined ? {} : { default: value }) }];
    });
  }

  isSubgraph(node: GraphNode): boolean {
    return node.type !== "" && !this.specs.has(node.type) && this.document.workflow.graphs.has(node.type);
  }

  private fromDefinition(definition: Graph, depth: number): NodeSpec {
    return {
      type: definition.id,
      title: definition.name,
      category: "",
      description: "",
      inputs: definition.inputs.map((slot, index) => this.inner(definition, slot, index, depth)),
      outputs: definition.outputs.map((slot) => ({ name: slot.name, type: slot.type, list: false })),
      isOutput: false,
      deprecated: false,
      experimental: false,
    };
  }

  private inner(definition: Graph, slot: Slot, index: number, depth: number): InputSpec {
    // A definition that contains itself would lead down for ever.
    if (depth > 16) return plainInput(slot);
    for (const link of this.document.linksOf(definition.id, INPUTS).out) {
      if (link.output !== index) continue;
      const node = definition.nodes.get(link.to);
      const target = node?.inputs[link.input];
      if (node === undefined || target === undefined) continue;
      const name = target.widget ?? target.name;
      const graph = this.document.workflow.graphs.get(node.type);
      const spec = this.specs.get(node.type) ?? (graph === undefined ? undefined : this.fromDefinition(graph, depth + 1));
      const input = spec?.inputs.find((one) => one.name === name);
      if (input?.widget !== true) return plainInput(slot);
      const value = node.values[name];
      return { ...input, name: slot.name, ...(value === undefined ? {} : { default: value }) };
    }
    return plainInput(slot);
  }
}
