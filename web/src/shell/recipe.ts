/** What made a picture, in the few words that people look for first. */
import { readFile } from "../document/files";
import { t } from "../i18n";

export interface RecipeLine {
  readonly name: string;
  readonly value: string;
}

type Node = { readonly class_type?: unknown; readonly inputs?: Readonly<Record<string, unknown>> };

const NUMBERS = ["seed", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"];
const FILES = /^(ckpt|unet|lora|vae|control_net|model)_name$/;

/** Read the recipe that a picture carries; empty where it carries none. */
export async function recipeOf(data: Blob): Promise<readonly RecipeLine[]> {
  const { prompt, parameters } = await readFile(await data.arrayBuffer());
  if (prompt !== undefined) return linesOf(Object.values(prompt) as Node[]);
  return parameters === undefined ? [] : [{ name: t("recipe.settings", "Settings"), value: parameters }];
}

export function linesOf(nodes: readonly Node[]): readonly RecipeLine[] {
  const lines: RecipeLine[] = [];
  const add = (name: string, value: unknown): void => {
    const text = String(value).trim();
    if (text !== "" && !lines.some((line) => line.name === name && line.value === text)) lines.push({ name, value: text });
  };
  const inputs = nodes.flatMap((node) => Object.entries(node.inputs ?? {}).filter(([, value]) => typeof value === "string" || typeof value === "number"));
  for (const [name, value] of inputs) if (/^(text|prompt)(_[gl])?$/.test(name)) add(t("recipe.text", "Text"), value);
  for (const [name, value] of inputs) if (FILES.test(name)) add(t("recipe.model", "Model"), value);
  for (const wanted of NUMBERS) for (const [name, value] of inputs) if (name === wanted) add(name.replaceAll("_", " "), value);
  return lines;
}
