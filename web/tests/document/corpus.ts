/** Real workflows that tests run over: the examples of the repository, and the reference pairs where they are at hand. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readSpecs } from "../../src/document/specs";
import type { JsonObject, Specs } from "../../src/document/types";

const ROOT_FOLDER = join(import.meta.dirname, "../../..");
/** Facts that are not part of the repository; tests over them are skipped where they are absent. */
export const REFERENCE = [join(ROOT_FOLDER, "../shared/reference"), join(ROOT_FOLDER, "../../shared/reference")].find(
  (folder) => existsSync(folder),
);

export interface Sample {
  readonly name: string;
  readonly workflow: JsonObject;
  readonly api?: JsonObject;
}

function files(folder: string): [string, JsonObject][] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf-8")) as JsonObject]);
}

export const examples: readonly Sample[] = files(join(ROOT_FOLDER, "workflows")).flatMap(([name, workflow]) =>
  Array.isArray(workflow.nodes) ? { name, workflow } : [],
);

export const pairs: readonly Sample[] =
  REFERENCE === undefined
    ? []
    : files(join(REFERENCE, "conversion")).map(([name, pair]) => ({
        name,
        workflow: pair.workflow as JsonObject,
        api: pair.api as JsonObject,
      }));

export const specs: Specs = readSpecs(interfaces());

function interfaces(): JsonObject {
  if (REFERENCE === undefined) return {};
  const lines = readFileSync(join(REFERENCE, "node_interfaces.jsonl"), "utf-8").split("\n").filter(Boolean);
  return Object.fromEntries(
    lines.map((line) => JSON.parse(line) as JsonObject).map((entry) => [String(entry.id), entry]),
  );
}

/** Node types and prompts of the examples, from the engine (`tests/graph/test_editor_agrees.py` keeps them up to date). */
const fixture = JSON.parse(readFileSync(join(import.meta.dirname, "fixtures/examples.json"), "utf-8")) as {
  specs: JsonObject;
  prompts: Record<string, JsonObject>;
  drawings: { workflow: JsonObject; prompt: JsonObject }[];
};
export const exampleSpecs: Specs = readSpecs(fixture.specs);
export const examplePrompts = fixture.prompts;
/** Texts with choices in them, and what the engine drew. */
export const drawings = fixture.drawings;
