/** What made a picture, as facts that people read: from the prompt inside it, or the settings of other programs. */
import type { JsonObject } from "../document/types";

export type FactKind = "text" | "negative" | "model" | "lora" | "control" | "vae" | "seed" | "steps" | "cfg" | "sampler" | "scheduler" | "denoise" | "size" | "input" | "other";
export interface Fact {
  readonly kind: FactKind;
  readonly value: string;
  /** The name it had, for facts of no known kind. */
  readonly name?: string;
}

export interface PromptNodeLike {
  readonly class_type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly _meta?: { readonly title?: string };
}
export type PromptLike = Readonly<Record<string, PromptNodeLike>>;

const NUMBERS: Readonly<Record<string, FactKind>> = {
  seed: "seed",
  noise_seed: "seed",
  steps: "steps",
  cfg: "cfg",
  sampler_name: "sampler",
  scheduler: "scheduler",
  denoise: "denoise",
};
const FILES: readonly (readonly [RegExp, FactKind])[] = [
  [/^(ckpt|unet|diffusion_model|model)_name$/, "model"],
  [/^lora_name$/, "lora"],
  [/^control_net_name$/, "control"],
  [/^vae_name$/, "vae"],
];
const TEXT = /^(text|prompt|positive|string|value)(_[a-z0-9]+)?$/;
const ORDER: readonly FactKind[] = ["text", "negative", "model", "lora", "control", "vae", "seed", "steps", "cfg", "sampler", "scheduler", "denoise", "size", "input", "other"];

/** The prompt of a file, when it looks like one. */
export function promptIn(data: JsonObject | undefined): PromptLike | undefined {
  const nodes = Object.entries(data ?? {}).filter(([, node]) => typeof node === "object" && node !== null && "class_type" in node && "inputs" in node);
  return nodes.length > 0 ? (Object.fromEntries(nodes) as unknown as PromptLike) : undefined;
}

/** `exact` spells numbers that are too large for this language, by their nearest one. */
export function factsOf(prompt: PromptLike, exact: JsonObject = {}): readonly Fact[] {
  const facts: Fact[] = [];
  const add = (kind: FactKind, value: unknown): void => {
    const text = spelled(value, exact).trim();
    if (text !== "" && !facts.some((fact) => fact.kind === kind && fact.value === text)) facts.push({ kind, value: text });
  };
  const negative = textsBehind(prompt, "negative");
  const positive = textsBehind(prompt, "positive");
  for (const [id, node] of Object.entries(prompt)) {
    for (const [name, value] of Object.entries(node.inputs)) {
      if (typeof value !== "string" && typeof value !== "number") continue;
      if (typeof value === "string" && TEXT.test(name)) add(negative.has(id) && !positive.has(id) ? "negative" : "text", value);
      const file = FILES.find(([pattern]) => pattern.test(name));
      if (file !== undefined) add(file[1], withStrength(file[1], value, node));
      const kind = NUMBERS[name];
      if (kind !== undefined) add(kind, value);
      if (name === "image" && typeof value === "string") add("input", value);
    }
    const { width, height } = node.inputs;
    if (typeof width === "number" && typeof height === "number" && /Latent/.test(node.class_type)) add("size", `${width} × ${height}`);
  }
  return facts.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

export function spelled(value: unknown, exact: JsonObject = {}): string {
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value) ?? "";
  const found = exact[JSON.stringify(value)];
  return typeof found === "string" ? found : String(value);
}

function withStrength(kind: FactKind, value: unknown, node: PromptNodeLike): unknown {
  const strength = node.inputs["strength_model"] ?? node.inputs["strength"];
  return kind === "lora" && typeof strength === "number" ? `${String(value)} (${strength})` : value;
}

/** Nodes that feed an input of a name, at whatever distance. */
function textsBehind(prompt: PromptLike, input: string): ReadonlySet<string> {
  const found = new Set<string>();
  const pending = Object.values(prompt).flatMap((node) => sourceOf(node.inputs[input]) ?? []);
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    // A node that takes both sides (a ControlNet) passes each on from its own.
    for (const [name, value] of Object.entries(prompt[id]?.inputs ?? {})) {
      if ((name === "positive" || name === "negative") && name !== input) continue;
      const source = sourceOf(value);
      if (source !== undefined) pending.push(source);
    }
  }
  return found;
}

export function sourceOf(value: unknown): string | undefined {
  return Array.isArray(value) && value.length === 2 && typeof value[1] === "number" ? String(value[0]) : undefined;
}

const OTHERS: Readonly<Record<string, FactKind>> = {
  Steps: "steps",
  Sampler: "sampler",
  "CFG scale": "cfg",
  Seed: "seed",
  Size: "size",
  Model: "model",
  "Denoising strength": "denoise",
  "Schedule type": "scheduler",
};

/** Facts from the text that other programs write: prompt, `Negative prompt:`, then `Steps: 20, Sampler: Euler, …`. */
export function factsOfParameters(text: string): readonly Fact[] {
  const lines = text.trim().split("\n");
  const last = /^Steps: \d/.test(lines.at(-1) ?? "") ? (lines.pop() ?? "") : "";
  const at = lines.findIndex((line) => line.startsWith("Negative prompt:"));
  const positive = (at < 0 ? lines : lines.slice(0, at)).join("\n").trim();
  const negative = at < 0 ? "" : lines.slice(at).join("\n").replace("Negative prompt:", "").trim();
  const facts: Fact[] = [];
  if (positive !== "") facts.push({ kind: "text", value: positive });
  if (negative !== "") facts.push({ kind: "negative", value: negative });
  for (const [, name, quoted, plain] of last.matchAll(/\s*([^:,]+):\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))(?:,|$)/g)) {
    const kind = OTHERS[name ?? ""] ?? "other";
    const value = (quoted ?? plain ?? "").trim();
    if (value !== "") facts.push(kind === "other" ? { kind, value, name: name ?? "" } : { kind, value });
  }
  return facts.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}
