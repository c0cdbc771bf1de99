import { INPUTS, type Document, type Graph, type GraphNode, type InputSpec, type NodeSpec, type Slot, type Specs } from "../document/types";

function plainInput(slot: Slot): InputSpec {
  return { name: slot.name, type: slot.type, group: "required", widget: false, options: {} };
}

/** Finds the node type of any node, subgraphs too: a subgraph's widgets are those of the inner nodes its inputs lead to. */
export class SpecSource {
  private readonly made = new WeakMap<Graph, NodeSpec>();

  constructor(
    readonly document: Document,
    readonly specs: Specs,
  ) {}

  of(node: GraphNode): NodeSpec | undefined {
    const known = this.specs.get(node.type);
    if (known !== undefined) return known;
    const definition = node.type === "" ? undefined : this.document.workflow.graphs.get(node.type);
    if (definition === undefined) return undefined;
    let spec = this.made.get(definition);
    if (spec === undefined) {
      spec = this.fromDefinition(definition, 0);
      this.made.set(definition, spec);
    }
    return spec;
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
