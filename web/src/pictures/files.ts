/** What the screens for pictures ask of the server. */
import { ask } from "../client/http";
import { upload } from "../client/files";
import type { JsonObject } from "../document/types";
import { readFile } from "../document/files";
import { factsOf, factsOfParameters, promptIn, type Fact, type PromptLike } from "./facts";
import type { Shown } from "./screens";

export interface GalleryPicture {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
  readonly modified: number;
  readonly size: number;
  readonly text: string;
  readonly model: string;
  readonly seed: string;
  readonly workflow: string;
}
export interface GalleryPage {
  readonly pictures: readonly GalleryPicture[];
  readonly total: number;
  readonly offset: number;
  readonly workflows: Readonly<Record<string, number>>;
}
export interface GalleryQuery {
  readonly q: string;
  readonly after?: number;
  readonly before?: number;
  readonly workflow: string;
}

export function galleryPage(query: GalleryQuery, offset: number, limit: number, signal?: AbortSignal): Promise<GalleryPage> {
  return ask("GET /gallery", { query: { ...query, offset, limit }, ...(signal ? { signal } : {}) });
}

export const deletePictures = (files: readonly { readonly filename: string; readonly subfolder: string }[]) =>
  ask<{ readonly trash: string; readonly deleted: readonly string[] }>("POST /gallery/delete", { body: { files } });
export const restorePictures = (trash: string) => ask<{ readonly restored: readonly string[] }>("POST /gallery/restore", { body: { trash } });

export function shownOf(picture: GalleryPicture): Shown {
  const { filename, subfolder, type } = picture;
  return { url: `/view?${new URLSearchParams({ filename, subfolder, type })}`, name: subfolder ? `${subfolder}/${filename}` : filename };
}

/** The address of a small form of a picture that has an address; others are shown as they are. */
export function thumbnailOf(url: string, size: number, version: string | number = ""): string {
  const query = new URLSearchParams(url.split("?")[1] ?? "");
  if (!url.startsWith("/view?")) return url;
  query.set("size", String(size));
  if (version !== "") query.set("v", String(version));
  return `/gallery/thumbnail?${query}`;
}

export interface Recipe {
  readonly facts: readonly Fact[];
  readonly prompt: PromptLike | undefined;
  /** Whether a workflow or prompt can be opened from it. */
  readonly opens: boolean;
}

const recipes = new Map<string, Promise<Recipe>>();
const RECIPES_KEPT = 200;

/** What made the picture at an address; an empty recipe where it says nothing. */
export function recipeAt(url: string): Promise<Recipe> {
  const known = recipes.get(url);
  if (known !== undefined) return known;
  const read = fetch(url)
    .then((answer) => answer.arrayBuffer())
    .then(readFile)
    .then(({ workflow, prompt, parameters, exact }): Recipe => {
      const found = promptIn(prompt);
      const facts = found ? factsOf(found, exact) : parameters !== undefined ? factsOfParameters(parameters) : [];
      return { facts, prompt: found, opens: workflow !== undefined || prompt !== undefined };
    })
    .catch((): Recipe => ({ facts: [], prompt: undefined, opens: false }));
  recipes.set(url, read);
  if (recipes.size > RECIPES_KEPT) recipes.delete(recipes.keys().next().value!);
  return read;
}

/** A copy of a picture among the inputs; gives the value that an input takes. */
export async function copyToInputs(picture: Shown): Promise<string> {
  const data = await (await fetch(picture.url)).blob();
  const name = picture.name.split("/").at(-1) ?? "picture.png";
  return inputName(await upload(new File([data], name, { type: data.type })));
}

export const inputName = (stored: { readonly name: string; readonly subfolder: string }): string => (stored.subfolder ? `${stored.subfolder}/${stored.name}` : stored.name);

/** The address of a picture that an input names; `channel` asks for its colours or its alpha alone. */
export function inputAddress(value: string, channel?: "rgb" | "a"): string {
  const [, name = value, folder = "input"] = /^(.*?)(?: \[(input|output|temp)\])?$/s.exec(value) ?? [];
  return `/view?${new URLSearchParams({ filename: name, type: folder, ...(channel ? { channel } : {}) })}`;
}

/** Where an input's picture lies, as `/upload/mask` wants it. */
export function referenceOf(value: string): JsonObject {
  const [, path = value, folder = "input"] = /^(.*?)(?: \[(input|output|temp)\])?$/s.exec(value) ?? [];
  const at = path.lastIndexOf("/");
  return { filename: path.slice(at + 1), subfolder: at < 0 ? "" : path.slice(0, at), type: folder };
}

/** Keep a mask (alpha 0 is masked) in a copy of the picture, as all programs of this kind do. */
export async function uploadMask(mask: Blob, value: string): Promise<string> {
  const body = new FormData();
  body.set("image", new File([mask], `clipspace-mask-${Date.now()}.png`, { type: "image/png" }));
  body.set("original_ref", JSON.stringify(referenceOf(value)));
  body.set("type", "input");
  body.set("subfolder", "clipspace");
  return inputName(await ask("POST /upload/mask", { body }));
}

export const fetchPicture = (url: string): Promise<ImageBitmap> =>
  fetch(url)
    .then((answer) => {
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      return answer.blob();
    })
    .then((blob) => createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" }));
