import { expect, test } from "vitest";
import { axesOf, differences, pairs } from "../../src/pictures/differ";
import { factsOf, factsOfParameters, promptIn, type PromptLike } from "../../src/pictures/facts";

const prompt: PromptLike = {
  "4": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "model.safetensors" } },
  "10": { class_type: "LoraLoader", inputs: { lora_name: "style.safetensors", strength_model: 0.6, strength_clip: 1, model: ["4", 0], clip: ["4", 1] } },
  "7": { class_type: "CLIPTextEncode", inputs: { text: "blurry", clip: ["10", 1] }, _meta: { title: "Negative" } },
  "6": { class_type: "CLIPTextEncode", inputs: { text: "a red apple", clip: ["10", 1] }, _meta: { title: "Positive" } },
  "11": { class_type: "ControlNetApplyAdvanced", inputs: { positive: ["6", 0], negative: ["7", 0], strength: 1 } },
  "5": { class_type: "EmptyLatentImage", inputs: { width: 128, height: 96, batch_size: 1 } },
  "3": { class_type: "KSampler", inputs: { seed: 5, steps: 20, cfg: 4, sampler_name: "euler", scheduler: "normal", denoise: 1, model: ["10", 0], positive: ["11", 0], negative: ["11", 1], latent_image: ["5", 0] } },
};
const of = (kind: string, facts = factsOf(prompt)): readonly string[] => facts.filter((fact) => fact.kind === kind).map((fact) => fact.value);

test("facts say what is wanted and what is not, whatever lies between", () => {
  expect(of("text")).toEqual(["a red apple"]);
  expect(of("negative")).toEqual(["blurry"]);
  expect(of("model")).toEqual(["model.safetensors"]);
  expect(of("lora")).toEqual(["style.safetensors (0.6)"]);
  expect(of("size")).toEqual(["128 × 96"]);
  expect([of("seed"), of("steps"), of("cfg"), of("sampler"), of("scheduler")].flat()).toEqual(["5", "20", "4", "euler", "normal"]);
});

test("a seed beyond what JavaScript counts is told as it was written", () => {
  const seed = 18446744073709551615;
  expect(of("seed", factsOf({ "1": { class_type: "KSampler", inputs: { seed } } }, { [JSON.stringify(seed)]: "18446744073709551615" }))).toEqual(["18446744073709551615"]);
});

test("settings of other programs are facts too", () => {
  const facts = factsOfParameters('a cat,\nsitting\nNegative prompt: dog\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 12, Size: 512x768, Model: "a, b", Clip skip: 2');
  expect(of("text", facts)).toEqual(["a cat,\nsitting"]);
  expect(of("negative", facts)).toEqual(["dog"]);
  expect([of("steps", facts), of("sampler", facts), of("seed", facts), of("size", facts), of("model", facts)].flat()).toEqual(["20", "DPM++ 2M", "12", "512x768", "a, b"]);
  expect(facts.find((fact) => fact.kind === "other")).toEqual({ kind: "other", value: "2", name: "Clip skip" });
  expect(factsOfParameters("only words")).toEqual([{ kind: "text", value: "only words" }]);
});

test("what is no prompt has no facts", () => {
  expect(promptIn(undefined)).toBeUndefined();
  expect(promptIn({ a: 1, b: null, c: [] })).toBeUndefined();
});

function changed(id: string, inputs: Record<string, unknown>): PromptLike {
  return { ...prompt, [id]: { ...prompt[id]!, inputs: { ...prompt[id]!.inputs, ...inputs } } };
}

test("differences are told by title and input", () => {
  expect(differences(prompt, prompt)).toEqual([]);
  expect(differences(prompt, changed("6", { text: "a star" }))).toEqual([{ node: "6", title: "Positive", input: "text", a: "a red apple", b: "a star" }]);
  expect(differences(prompt, changed("3", { model: ["4", 0] }))).toEqual([{ node: "3", title: "KSampler", input: "model", a: "← LoraLoader", b: "← CheckpointLoaderSimple" }]);
});

test("nodes are the same although their ids are others", () => {
  const renamed = Object.fromEntries(Object.entries(prompt).map(([id, node]) => {
    const inputs = Object.entries(node.inputs).map(([name, value]) => [name, Array.isArray(value) ? [`n${value[0]}`, value[1]] : value]);
    return [`n${id}`, { ...node, inputs: Object.fromEntries(inputs) }];
  })) as PromptLike;
  expect(pairs(prompt, renamed).get("6")).toBe("n6");
  expect(pairs(prompt, renamed).get("7")).toBe("n7");
  expect(differences(prompt, renamed)).toEqual([]);
});

test("nodes that only one side has are told", () => {
  const { "10": lora, ...without } = prompt;
  expect(differences(prompt, without).some((row) => row.a === lora!.class_type && row.b === undefined)).toBe(true);
  expect(differences(without, prompt).some((row) => row.b === lora!.class_type && row.a === undefined)).toBe(true);
});

test("the inputs that vary among many prompts are the axes of their sheet", () => {
  const prompts = [10, 2].flatMap((steps) => ["euler", "heun", "lms"].map((sampler_name) => changed("3", { steps, sampler_name })));
  expect(axesOf(prompts)).toEqual([
    { node: "3", title: "KSampler", input: "sampler_name", values: ["euler", "heun", "lms"] },
    { node: "3", title: "KSampler", input: "steps", values: ["2", "10"] },
  ]);
  expect(axesOf([])).toEqual([]);
  // A text and a seed that always change together are one axis.
  const together = [["a", 1], ["b", 2], ["c", 3]].map(([text, seed]) => ({ ...changed("3", { seed }), "6": { ...prompt["6"]!, inputs: { ...prompt["6"]!.inputs, text } } })) as PromptLike[];
  expect(axesOf(together).map((axis) => axis.values)).toEqual([["1", "2", "3"]]);
});
