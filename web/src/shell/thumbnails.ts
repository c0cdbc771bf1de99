/** Small pictures for choices: what lies beside a model file, and pictures of the input folder. */
import { loadModels, models, previewAddress } from "../client/models";
import type { GraphNode, InputSpec, Json } from "../document/types";

/** Inputs that name a model file, with the kind of file. */
export const KIND_OF_INPUT: Readonly<Record<string, string>> = {
  ckpt_name: "checkpoints",
  lora_name: "loras",
  vae_name: "vae",
  control_net_name: "controlnet",
  unet_name: "diffusion_models",
  style_model_name: "style_models",
  hypernetwork_name: "hypernetworks",
  model_name: "upscale_models",
};

/** The address of a choice's picture; undefined where it has none, or none is known of yet. */
export function thumbnailOf(input: InputSpec, choice: Json): string | undefined {
  if (typeof choice !== "string" || choice === "") return undefined;
  if (input.options.image_upload === true) return inputPicture(choice);
  const kind = KIND_OF_INPUT[input.name];
  if (kind === undefined) return undefined;
  void loadModels(kind).catch(() => undefined);
  const file = models.get().get(kind)?.find((one) => one.name === choice);
  return file?.preview ? previewAddress(kind, file) : undefined;
}

/** Ask for what the lists of these nodes will show, so that it is there when one is opened. */
export function prepareThumbnails(nodes: Iterable<GraphNode>): void {
  for (const node of nodes) {
    for (const name of Object.keys(node.values)) {
      const kind = KIND_OF_INPUT[name];
      if (kind !== undefined) void loadModels(kind).catch(() => undefined);
    }
  }
}

/** A name may be below a folder and may say which one: `mine/cat.png [input]`. */
export function inputPicture(name: string): string {
  const [, path = name, type = "input"] = /^(.*?)(?: \[(input|output|temp)\])?$/s.exec(name) ?? [];
  const at = path.lastIndexOf("/");
  return `/view?${new URLSearchParams({ filename: path.slice(at + 1), subfolder: at < 0 ? "" : path.slice(0, at), type, preview: "webp;80" })}`;
}
