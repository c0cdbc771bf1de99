/** Opening and saving: text to workflow and back, in the form that it came in. */
import { exactNumbers, exactSteps, exactText, restored, withExact } from "./exact";
import { isObject, member } from "./json";
import { changedOutside, jsonErrorAt } from "./jsonText";
import { parseSteps } from "./jsonSteps";
import { looksNative, nativeText } from "./nativeForm";
import { DocumentError } from "./problems";
import { looksLikeApi, readApi } from "./read/api";
import { looksLikeEditor, readEditorSteps } from "./read/editor";
import { readNativeSteps } from "./read/native";
import { atOnce, share, type Steps } from "./slices";
import { ROOT, type Json, type JsonObject, type Specs, type Workflow } from "./types";
import { writeApi } from "./write/api";
import { writeEditor } from "./write/editor";
import { writeNative } from "./write/native";

/** "0.4" and "1": the ecosystem's schemas. A document keeps the form it was opened in; new ones are native. */
export type Form = "native" | "0.4" | "1" | "api";

export function formOf(workflow: Workflow): Form {
  const form = workflow.extra?.form;
  return form === "0.4" || form === "1" || form === "api" ? form : "native";
}

export function emptyWorkflow(): Workflow {
  const graph = { id: ROOT, name: "", nodes: new Map(), links: new Map(), groups: new Map(), inputs: [], outputs: [] };
  return { graphs: new Map([[ROOT, graph]]), form: [], extra: { form: "native" } };
}

/** The same workflow, to be saved in another form from now on. */
export function inForm(workflow: Workflow, form: Form): Workflow {
  return { ...workflow, extra: { ...workflow.extra, form } };
}

/**
 * Whether saving in the document's own form would lose what was done to it: an API prompt has no places, groups or
 * subgraphs. The shell then offers the native form.
 */
export function nativeFormNeeded(before: Workflow, now: Workflow): boolean {
  if (formOf(now) !== "api" || before === now) return false;
  if (now.graphs.size > 1 || now.form.length > 0) return true;
  const [was, is] = [before.graphs.get(ROOT), now.graphs.get(ROOT)];
  if (is === undefined || is.groups.size > 0) return true;
  for (const node of is.nodes.values()) {
    const old = was?.nodes.get(node.id);
    const placed = old === undefined || old.x !== node.x || old.y !== node.y || old.width !== node.width || old.height !== node.height;
    if (placed || node.mode !== "always" || node.color !== undefined || node.collapsed === true) return true;
  }
  return [...is.links.values()].some((link) => link.bends !== undefined || link.hidden === true || link.portal !== undefined);
}

/** Reads a parsed document of any known form. Raises `DocumentError` when it is of none. */
export function readWorkflow(data: Json, specs: Specs): Workflow {
  return atOnce(readWorkflowSteps(data, specs));
}

export function* readWorkflowSteps(data: Json, specs: Specs): Steps<Workflow> {
  if (isObject(data) && looksNative(data)) return yield* readNativeSteps(data, specs);
  if (isObject(data) && looksLikeEditor(data)) return yield* readEditorSteps(data, specs);
  for (const key of ["workflow", "prompt"]) {
    const inner = member(data, key);
    if (
      isObject(inner) &&
      !Object.hasOwn(inner, "class_type") &&
      (looksNative(inner) || looksLikeEditor(inner) || looksLikeApi(inner))
    ) {
      return yield* readWorkflowSteps(inner, specs);
    }
  }
  if (isObject(data) && looksLikeApi(data)) return readApi(data, specs);
  throw new DocumentError(
    isObject(data) ? "the file is JSON, but no workflow" : "the file holds a single value, not a workflow",
  );
}

/** Reads a file's text. Raises `DocumentError`, with line and column for text that is no JSON. */
export function openText(text: string, specs: Specs): Workflow {
  return withExact(readWorkflow(parseJson(text), specs), exactNumbers(text));
}

/** As `openText`, in pieces. */
export function* openTextSteps(text: string, specs: Specs): Steps<Workflow> {
  const clean = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  let data: Json;
  try {
    data = yield* share(parseSteps(clean), 0, 0.4);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    data = parseJson(clean);
  }
  yield 0.4;
  const workflow = yield* share(readWorkflowSteps(data, specs), 0.4, 0.95);
  return withExact(workflow, yield* share(exactSteps(clean), 0.95, 1));
}

export function parseJson(text: string): Json {
  const clean = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  try {
    return JSON.parse(clean) as Json;
  } catch (error) {
    // Python writes numbers that JSON does not have.
    const repaired = withoutNaN(clean);
    if (repaired !== clean) return parseJson(repaired);
    throw error instanceof SyntaxError ? syntaxError(clean) : error;
  }
}

/** Replaces NaN and Infinity outside of strings by null. */
function withoutNaN(text: string): string {
  if (!/NaN|Infinity/.test(text)) return text;
  return changedOutside(text, (part) => part.replace(/-?\bInfinity\b|\bNaN\b/g, "null"));
}

function syntaxError(text: string): DocumentError {
  if (text.trim() === "") return new DocumentError("the file is empty");
  const before = text.slice(0, jsonErrorAt(text)).split("\n");
  const place = { line: before.length, column: before.at(-1)!.length + 1 };
  return new DocumentError(`the file is not JSON: line ${place.line}, column ${place.column}`, place);
}

/** The text of the file, in the document's form or the one asked for. */
export function saveText(workflow: Workflow, specs: Specs, form: Form = formOf(workflow)): string {
  if (form === "native") return restored(workflow, nativeText(writeNative(workflow)));
  if (form === "api") return `${exactText(workflow, writeApi(workflow, specs), 2)}\n`;
  return exactText(workflow, writeEditor(inForm(workflow, form), specs), 2);
}

/** The document as it goes along with a prompt into pictures. */
export function workflowJson(workflow: Workflow, specs: Specs): JsonObject {
  const form = formOf(workflow);
  return form === "0.4" || form === "1" ? writeEditor(workflow, specs) : writeNative(workflow);
}
