/** Opening and saving: text to workflow and back, in the form that it came in. */
import { exactNumbers, exactText, restored, withExact } from "./exact";
import { isObject, member } from "./json";
import { changedOutside, jsonErrorAt } from "./jsonText";
import { looksNative, nativeText } from "./nativeForm";
import { DocumentError } from "./problems";
import { looksLikeApi, readApi } from "./read/api";
import { looksLikeEditor, readEditor } from "./read/editor";
import { readNative } from "./read/native";
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

/** Reads a parsed document of any known form. Raises `DocumentError` when it is of none. */
export function readWorkflow(data: Json, specs: Specs): Workflow {
  if (isObject(data) && looksNative(data)) return readNative(data, specs);
  if (isObject(data) && looksLikeEditor(data)) return readEditor(data, specs);
  for (const key of ["workflow", "prompt"]) {
    const inner = member(data, key);
    if (
      isObject(inner) &&
      !Object.hasOwn(inner, "class_type") &&
      (looksNative(inner) || looksLikeEditor(inner) || looksLikeApi(inner))
    ) {
      return readWorkflow(inner, specs);
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
