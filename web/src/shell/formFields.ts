import { t } from "../i18n";
import { specOf } from "../document/shown";
import { ROOT, type FormField, type GraphNode, type InputSpec, type NodeSpec, type Specs, type Workflow } from "../document/types";

export interface ShownField {
  readonly field: FormField;
  readonly node: GraphNode;
  readonly spec: NodeSpec;
  readonly input: InputSpec;
  readonly label: string;
  /** Long texts come first and large. */
  readonly kind: "text" | "number" | "seed" | "choice" | "switch" | "picture" | "line";
}

/** Inputs worth showing where nobody has chosen any, in this order. */
const WORTH = ["image", "text", "seed", "noise_seed", "steps", "cfg", "denoise", "width", "height", "strength", "ckpt_name"];

/** The inputs of the form: those that the file names, else what most people change first. */
export function formFields(workflow: Workflow, specs: Specs): readonly ShownField[] {
  const root = workflow.graphs.get(ROOT);
  if (root === undefined) return [];
  const chosen = workflow.form.length > 0 ? workflow.form.filter((field) => field.input !== null) : guessed(workflow, specs);
  const shown: ShownField[] = [];
  for (const field of chosen) {
    const node = root.nodes.get(field.node);
    const spec = node && specOf(workflow, node, specs);
    const input = spec?.inputs.find((one) => one.name === field.input);
    if (!node || !spec || !input?.widget || isLinked(workflow, node, input.name)) continue;
    shown.push({ field, node, spec, input, label: field.label ?? labelOf(node, spec, input, chosen), kind: kindOf(input) });
  }
  return shown;
}

function guessed(workflow: Workflow, specs: Specs): readonly FormField[] {
  const found: { readonly rank: number; readonly field: FormField }[] = [];
  const needed = neededNodes(workflow, specs);
  for (const node of workflow.graphs.get(ROOT)?.nodes.values() ?? []) {
    if (node.mode !== "always" || !needed.has(node.id)) continue;
    for (const input of specOf(workflow, node, specs)?.inputs ?? []) {
      if (!input.widget || input.group === "hidden") continue;
      // All of the noise is no choice: it is only one where a picture is changed.
      if (input.name === "denoise" && (node.values.denoise ?? 1) === 1) continue;
      const name = input.multiline ? "text" : input.name;
      const rank = WORTH.indexOf(name);
      if (rank >= 0) found.push({ rank, field: { node: node.id, input: input.name } });
    }
  }
  return found.sort((a, b) => a.rank - b.rank).map((one) => one.field);
}

/** Nodes that something which is put out depends on. */
function neededNodes(workflow: Workflow, specs: Specs): ReadonlySet<string> {
  const root = workflow.graphs.get(ROOT);
  const before = new Map<string, string[]>();
  for (const link of root?.links.values() ?? []) before.set(link.to, [...(before.get(link.to) ?? []), link.from]);
  const pending = [...(root?.nodes.values() ?? [])].filter((node) => specs.get(node.type)?.isOutput).map((node) => node.id);
  const needed = new Set(pending);
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    for (const from of before.get(id) ?? []) if (!needed.has(from)) pending.push(from), needed.add(from);
  }
  return needed;
}

function isLinked(workflow: Workflow, node: GraphNode, name: string): boolean {
  const slot = node.inputs.findIndex((input) => (input.widget ?? input.name) === name);
  if (slot < 0) return false;
  for (const link of workflow.graphs.get(ROOT)?.links.values() ?? []) if (link.to === node.id && link.input === slot) return true;
  return false;
}

function wordOf(name: string): string {
  switch (name) {
    case "seed":
    case "noise_seed":
      return t("word.seed", "Seed");
    case "steps":
      return t("word.steps", "Steps");
    case "cfg":
      return t("word.cfg", "Guidance");
    case "denoise":
      return t("word.denoise", "Strength of change");
    case "width":
      return t("word.width", "Width");
    case "height":
      return t("word.height", "Height");
    case "ckpt_name":
      return t("word.ckpt_name", "Model");
    case "image":
      return t("word.image", "Picture");
    case "strength":
      return t("word.strength", "Strength");
    default:
      return name.replaceAll("_", " ");
  }
}

function labelOf(node: GraphNode, spec: NodeSpec, input: InputSpec, chosen: readonly FormField[]): string {
  // A text's node is named by what the text is for; other inputs name themselves unless several nodes have them.
  if (input.multiline) return node.title ?? spec.title;
  const word = wordOf(input.name);
  const several = chosen.filter((field) => field.input === input.name).length > 1;
  return several ? `${node.title ?? spec.title}: ${word}` : word;
}

function kindOf(input: InputSpec): ShownField["kind"] {
  if (input.options.image_upload === true) return "picture";
  if (input.choices !== undefined) return "choice";
  if (input.type === "BOOLEAN") return "switch";
  if (input.type === "INT" || input.type === "FLOAT") return /(^|_)seed$/.test(input.name) ? "seed" : "number";
  return input.multiline ? "text" : "line";
}

/** All values of a node as fields. */
export function fieldsOf(node: GraphNode, spec: NodeSpec): readonly ShownField[] {
  return spec.inputs
    .filter((input) => input.widget && input.group !== "hidden")
    .map((input) => ({ field: { node: node.id, input: input.name }, node, spec, input, label: input.name.replaceAll("_", " "), kind: kindOf(input) }));
}
