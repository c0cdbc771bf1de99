/** The node types and graphs that the editor is measured and looked at with. */

const int = (name, value, more = {}) => [name, ["INT", { default: value, min: 0, max: 16384, ...more }]];
const float = (name, value, more = {}) => [name, ["FLOAT", { default: value, min: 0, max: 10, step: 0.01, ...more }]];
const combo = (name, choices) => [name, [choices]];
const socket = (name, type) => [name, [type]];
const SAMPLERS = ["euler", "euler_ancestral", "heun", "dpm_2", "lms", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "ddim", "uni_pc"];
const SCHEDULERS = ["normal", "karras", "exponential", "sgm_uniform", "simple", "beta"];
const UPSCALE = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"];

function type(title, inputs, outputs, more = {}) {
  return {
    display_name: title, category: "bench", description: "", input: { required: Object.fromEntries(inputs) },
    input_order: { required: inputs.map(([name]) => name) }, output: outputs, output_name: outputs, output_is_list: outputs.map(() => false),
    output_node: false, ...more,
  };
}

export const objectInfo = {
  KSampler: type("KSampler", [
    socket("model", "MODEL"), int("seed", 0, { max: 2 ** 53, control_after_generate: true }), int("steps", 20), float("cfg", 8, { max: 100, step: 0.1 }),
    combo("sampler_name", SAMPLERS), combo("scheduler", SCHEDULERS), socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"),
    socket("latent_image", "LATENT"), float("denoise", 1, { max: 1 }),
  ], ["LATENT"]),
  ControlNetApplyAdvanced: type("Apply ControlNet", [
    socket("positive", "CONDITIONING"), socket("negative", "CONDITIONING"), socket("control_net", "CONTROL_NET"), socket("image", "IMAGE"),
    float("strength", 1), float("start_percent", 0, { max: 1 }), float("end_percent", 1, { max: 1 }),
  ], ["CONDITIONING", "CONDITIONING"], { output_name: ["positive", "negative"] }),
  ImageScale: type("Upscale Image", [socket("image", "IMAGE"), combo("upscale_method", UPSCALE), int("width", 512), int("height", 512), combo("crop", ["disabled", "center"])], ["IMAGE"]),
  LatentComposite: type("Latent Composite", [socket("samples_to", "LATENT"), socket("samples_from", "LATENT"), int("x", 0, { step: 8 }), int("y", 0, { step: 8 }), int("feather", 0, { step: 8 })], ["LATENT"]),
  ImageCompositeMasked: type("Image Composite Masked", [
    socket("destination", "IMAGE"), socket("source", "IMAGE"), int("x", 0), int("y", 0), ["resize_source", ["BOOLEAN", { default: false }]],
  ], ["IMAGE"]),
  CheckpointLoaderSimple: type("Load Checkpoint", [combo("ckpt_name", ["safelight-emoji-128.safetensors", "sd15.safetensors"])], ["MODEL", "CLIP", "VAE"]),
  CLIPTextEncode: type("CLIP Text Encode (Prompt)", [["text", ["STRING", { multiline: true, dynamicPrompts: true }]], socket("clip", "CLIP")], ["CONDITIONING"]),
  EmptyLatentImage: type("Empty Latent Image", [int("width", 512, { min: 16, step: 8 }), int("height", 512, { min: 16, step: 8 }), int("batch_size", 1, { min: 1 })], ["LATENT"]),
  VAEDecode: type("VAE Decode", [socket("samples", "LATENT"), socket("vae", "VAE")], ["IMAGE"]),
  SaveImage: type("Save Image", [socket("images", "IMAGE"), ["filename_prefix", ["STRING", { default: "Safelight" }]]], [], { output_node: true }),
  LoadImage: type("Load Image", [["image", [["example.png"], { image_upload: true }]]], ["IMAGE", "MASK"]),
};

const CYCLE = ["KSampler", "ControlNetApplyAdvanced", "ImageScale", "LatentComposite", "ImageScale", "ImageCompositeMasked"];
const VALUES = {
  KSampler: [1, "fixed", 20, 8, "euler", "normal", 1], ControlNetApplyAdvanced: [1, 0, 1], ImageScale: ["bilinear", 512, 512, "disabled"],
  LatentComposite: [0, 0, 0], ImageCompositeMasked: [0, 0, false],
};
const ACROSS = 400;
const DOWN = 380;

/** A grid of `count` nodes with four widgets and two links a node, as the ecosystem's editor saves it. */
export function synthetic(count) {
  const columns = Math.ceil(Math.sqrt(count));
  const latest = new Map();
  const nodes = [];
  const links = [];
  for (let n = 0; n < count; n++) {
    const kind = CYCLE[n % CYCLE.length];
    const info = objectInfo[kind];
    const inputs = [];
    for (const [name, [asked]] of Object.entries(info.input.required)) {
      if (typeof asked !== "string" || ["INT", "FLOAT", "BOOLEAN", "STRING"].includes(asked)) continue;
      const source = latest.get(asked);
      const slot = { name, type: asked, link: null };
      if (source !== undefined) {
        slot.link = links.length + 1;
        links.push([links.length + 1, source.node.id, source.slot, n + 1, inputs.length, asked]);
        (source.node.outputs[source.slot].links ??= []).push(links.length);
      }
      inputs.push(slot);
    }
    const node = {
      id: n + 1, type: kind, pos: [(n % columns) * ACROSS, Math.floor(n / columns) * DOWN], size: [300, 100], flags: {}, order: n, mode: 0, inputs,
      outputs: info.output.map((given, slot) => ({ name: info.output_name[slot], type: given, links: null, slot_index: slot })),
      properties: {}, widgets_values: VALUES[kind],
    };
    nodes.push(node);
    info.output.forEach((given, slot) => latest.set(given, { node, slot }));
  }
  return { id: "bench", revision: 0, last_node_id: count, last_link_id: links.length, nodes, links, groups: [], config: {}, extra: {}, version: 0.4 };
}
