/** What the widgets in nodes ask for: uploads, pictures, completion, the count of tokens. */
import { upload } from "../client/files";
import { ask } from "../client/http";
import { loadModels, models, previewAddress } from "../client/models";
import { chooseFile } from "../pictures/screens";
import type { Completion, WidgetServices } from "../widgets/services";
import { inputPicture, thumbnailOf } from "./thumbnails";
import { say } from "./toasts";

const LIMIT = 77;
const MARKS = 2;

export const SERVICES: WidgetServices = {
  upload: async (file) => {
    const stored = await upload(file);
    return stored.subfolder ? `${stored.subfolder}/${stored.name}` : stored.name;
  },
  pickFile: (input, current) => chooseFile(current, input.options["video_upload"] === true ? "video" : input.options["audio_upload"] === true ? "audio" : input.options["image_upload"] === true ? "image" : ""),
  imageUrl: inputPicture,
  problem: (message) => say(message, "problem"),
  thumbnail: thumbnailOf,
  complete,
  countTokens: async (text, signal) => {
    const found = await ask<{ readonly tokens: number }>("POST /tokens", { body: { text }, signal });
    // What is longer is encoded in several windows; the count is shown against the one that it is in.
    const room = LIMIT - MARKS;
    return { count: found.tokens, limit: Math.max(1, Math.ceil(found.tokens / room)) * room };
  },
};

/** Names that fit what is typed after `embedding:` or `<lora:`. */
async function complete(word: string, _signal: AbortSignal): Promise<readonly Completion[]> {
  const marked = /^(embedding:|<lora:|<)(.*)$/is.exec(word);
  if (marked === null) return [];
  const [, mark = "", typed = ""] = marked;
  const kind = mark.toLowerCase() === "embedding:" ? "embeddings" : "loras";
  await loadModels(kind);
  const fits = (name: string): boolean => name.toLowerCase().includes(typed.toLowerCase());
  const starts = (name: string): number => (name.toLowerCase().startsWith(typed.toLowerCase()) ? 0 : 1);
  return (models.get().get(kind) ?? [])
    .map((file) => ({ file, name: file.name.replace(/\.[^.]+$/, "") }))
    .filter(({ name }) => fits(name))
    .sort((a, b) => starts(a.name) - starts(b.name) || a.name.localeCompare(b.name))
    .map(({ file, name }) => ({
      insert: kind === "embeddings" ? `embedding:${name}` : `<lora:${name}:1>`,
      label: name,
      ...(file.preview ? { picture: previewAddress(kind, file) } : {}),
    }));
}
