/** What a workflow needs that may not be here: node types, and files that its values name. */
import type { Specs, Workflow } from "../document/types";
import { EDITOR_ONLY } from "./checking";

export interface Needs {
  /** Model files, with whether they are here. */
  readonly files: readonly { readonly name: string; readonly here: boolean }[];
  readonly missingTypes: readonly string[];
}

const MODEL = /\.(safetensors|sft|ckpt|pt|pth|bin|gguf)$/i;

export function needsOf(workflow: Workflow, specs: Specs): Needs {
  const files = new Map<string, boolean>();
  const missingTypes = new Set<string>();
  for (const graph of workflow.graphs.values()) {
    for (const node of graph.nodes.values()) {
      const spec = specs.get(node.type);
      if (spec === undefined && !workflow.graphs.has(node.type) && !EDITOR_ONLY.has(node.type)) missingTypes.add(node.type);
      for (const [name, value] of Object.entries(node.values)) {
        if (typeof value !== "string" || !MODEL.test(value)) continue;
        files.set(value, spec?.inputs.find((input) => input.name === name)?.choices?.includes(value) ?? false);
      }
    }
  }
  return { files: [...files].map(([name, here]) => ({ name, here })), missingTypes: [...missingTypes] };
}

export const isReady = (needs: Needs): boolean => needs.missingTypes.length === 0 && needs.files.every((file) => file.here);
