import { VIRTUAL_TYPES } from "../document/prompt";
import { shownInputs, specOf, type ShownInput } from "../document/shown";
import type { Document, GraphId, GraphNode, NodeSpec, Specs } from "../document/types";

const TITLES: Readonly<Record<string, string>> = { MarkdownNote: "Note", PrimitiveNode: "Primitive" };

/** What the canvas asks about the types of nodes. */
export class SpecSource {
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
