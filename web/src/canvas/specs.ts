import { VIRTUAL_TYPES } from "../document/prompt";
import { shownInputs, specOf, type ShownInput } from "../document/shown";
import { AUTOGROW, DYNAMIC_CHOICE } from "../document/specs";
import type { Document, GraphId, GraphNode, NodeSpec, Specs } from "../document/types";

const TITLES: Readonly<Record<string, string>> = { MarkdownNote: "Note", PrimitiveNode: "Primitive" };

/** What the canvas asks about the types of nodes. */
export class SpecSource {
  /** Names of a type's inputs, or null for a type whose inputs come and go. */
  private readonly fixed = new WeakMap<NodeSpec, ReadonlySet<string> | null>();

  constructor(
    readonly document: Document,
    readonly specs: Specs,
  ) {}

  of(node: GraphNode): NodeSpec | undefined {
    return specOf(this.document.workflow, node, this.specs);
  }

  shown(node: GraphNode, graph: GraphId): readonly ShownInput[] {
    return shownInputs(this.document.workflow, this.document.graph(graph), node, this.specs);
  }

  /**
   * What the layout of a node follows from besides its size, as one text; undefined where its values or links decide too.
   * Thousands of nodes have a handful of these between them.
   */
  signature(node: GraphNode): string | undefined {
    const spec = this.specs.get(node.type);
    if (spec === undefined || this.document.workflow.graphs.has(node.type)) return undefined;
    let names = this.fixed.get(spec);
    if (names === undefined) {
      const changes = spec.inputs.some(({ type }) => type.startsWith(DYNAMIC_CHOICE) || type.startsWith(AUTOGROW));
      names = changes ? null : new Set(spec.inputs.map((input) => input.name));
      this.fixed.set(spec, names);
    }
    if (names === null) return undefined;
    let text = `${node.type}\n${node.outputs.length}`;
    for (const slot of node.inputs) {
      if (slot.widget !== undefined && !names.has(slot.name)) return undefined;
      text += slot.label === undefined ? `\n${slot.name}` : `\n${slot.name}\t${slot.label}`;
    }
    return text;
  }

  /** False for a type that neither the server nor the editor has. */
  knows(node: GraphNode): boolean {
    return VIRTUAL_TYPES.has(node.type) || this.of(node) !== undefined;
  }

  title(node: GraphNode): string {
    return node.title ?? this.of(node)?.title ?? TITLES[node.type] ?? node.type;
  }

  isSubgraph(node: GraphNode): boolean {
    return node.type !== "" && this.document.workflow.graphs.has(node.type);
  }
}
