/** What can be added besides the server's nodes: notes, reroutes, primitives, and the subgraphs of the workflow. */
import { newNode } from "../document/nodes";
import { definitionsUsed } from "../document/operations/clipboard";
import { specOf } from "../document/shown";
import { ROOT, type GraphId, type GraphNode, type NodeSpec, type Slot, type Specs, type Workflow } from "../document/types";
import { t } from "../i18n";
import type { FromPort } from "./adding";

const VALUE_TYPES = "INT,FLOAT,STRING,BOOLEAN,COMBO";

function plain(type: string, title: string, description: string, takes: string | undefined, gives: string | undefined): NodeSpec {
  return {
    type, title, description, category: t("category.editor", "editor"), isOutput: false, deprecated: false, experimental: false,
    inputs: takes === undefined ? [] : [{ name: "", type: takes, group: "required", widget: false, options: {} }],
    outputs: gives === undefined ? [] : [{ name: "", type: gives, list: false }],
  };
}

/** Types that need no server: a note, a point to lead links through, a value of its own. */
function editorOwn(): readonly NodeSpec[] {
  return [
    plain("Note", t("type.note", "Note"), "", undefined, undefined),
    plain("Reroute", t("type.reroute", "Reroute"), "", "*", "*"),
    plain("PrimitiveNode", t("type.primitive", "Primitive"), "", undefined, VALUE_TYPES),
  ];
}

/** Everything that may be put into a graph. A subgraph cannot hold itself. */
export function addable(workflow: Workflow, graph: GraphId, known: Specs): readonly NodeSpec[] {
  const subgraphs: NodeSpec[] = [];
  for (const definition of workflow.graphs.values()) {
    if (definition.id === ROOT || definition.id === graph) continue;
    if (definitionsUsed(workflow, definition.nodes.values()).some((one) => one.id === graph)) continue;
    const spec = specOf(workflow, instance(definition.id), known);
    if (spec !== undefined) subgraphs.push({ ...spec, category: t("category.subgraphs", "subgraphs") });
  }
  return [...subgraphs, ...editorOwn(), ...known.values()];
}

const instance = (type: GraphId): GraphNode => ({ id: "", type, mode: "always", values: {}, inputs: [], outputs: [], x: 0, y: 0, width: 240, height: null });

/** A new node of any of these types; what it is dragged from decides the type of a reroute and of a primitive. */
export function makeNode(workflow: Workflow, spec: NodeSpec, id: string, x: number, y: number, port: FromPort | undefined): GraphNode {
  const made = newNode(spec, id, x, y);
  const type = port?.type ?? "*";
  switch (spec.type) {
    case "Note":
      return { ...made, values: { "#0": "" }, width: 240, height: 140 };
    case "Reroute":
      return { ...made, inputs: [{ name: "", type: "*" }], outputs: [{ name: "", type }], width: 75, height: 26 };
    case "PrimitiveNode":
      return { ...made, outputs: [{ name: type, type }], values: port?.value === undefined ? {} : { value: port.value, "value:control": "fixed" } };
    default:
      break;
  }
  const definition = workflow.graphs.get(spec.type);
  if (definition === undefined) return made;
  const inputs = definition.inputs.map(({ name, type: kind, label }): Slot => {
    const widget = spec.inputs.find((input) => input.name === name)?.widget === true;
    return { name, type: kind, ...(label !== undefined && { label }), ...(widget && { widget: name }) };
  });
  const outputs = definition.outputs.map(({ name, type: kind, label }): Slot => ({ name, type: kind, ...(label !== undefined && { label }) }));
  return { ...made, inputs, outputs, values: {}, title: definition.name };
}
