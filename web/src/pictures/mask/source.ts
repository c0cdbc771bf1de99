/** What a mask is painted over, and what the mask is so far. */
import type { Json } from "../../document/types";
import { t } from "../../i18n";
import { pictureInputs, tabOf, valueOf } from "../actions";
import { fetchPicture, inputAddress } from "../files";
import type { PictureInput } from "../screens";

export interface MaskSource {
  readonly width: number;
  readonly height: number;
  /** The address of what is seen below the mask, and its pixels, by which areas are filled. */
  readonly backdrop: string;
  readonly pixels: ImageData;
  readonly mask: Uint8ClampedArray;
}

const CHANNELS: Readonly<Record<string, number>> = { red: 0, green: 1, blue: 2 };

/** A node that gives only a channel of its picture; undefined for one that gives picture and mask. */
export function channelOf(target: PictureInput): string | undefined {
  const node = tabOf(target.tab)?.document.node(target.graph, target.node);
  const value: Json | undefined = node?.type === "LoadImageMask" ? (node.values["channel"] ?? "alpha") : undefined;
  return typeof value === "string" ? value : undefined;
}

/** Raises an error when the input names no picture that is there. */
export async function readSource(target: PictureInput): Promise<MaskSource> {
  const value = valueOf(target);
  if (value === "") throw new Error(t("mask.noPicture", "This node has no picture yet"));
  const channel = channelOf(target);
  const [rgb, alpha] = await Promise.all([fetchPicture(inputAddress(value, "rgb")), fetchPicture(inputAddress(value, "a"))]);
  const { width, height } = rgb;
  const own = dataOf(rgb);
  const mask = new Uint8ClampedArray(width * height);
  const place = channel === undefined ? undefined : CHANNELS[channel];
  const from = place === undefined ? dataOf(alpha).data : own.data;
  // Alpha says what is kept, a colour says what is masked.
  for (let at = 0; at < mask.length; at++) mask[at] = place === undefined ? 255 - (from[at * 4 + 3] ?? 255) : (from[at * 4 + place] ?? 0);
  const other = channel === undefined ? undefined : await otherPicture(target, width, height);
  return { width, height, backdrop: other?.url ?? inputAddress(value, "rgb"), pixels: other?.pixels ?? own, mask };
}

/** A mask by itself shows nothing to go by: another picture of the graph with its size does. */
async function otherPicture(target: PictureInput, width: number, height: number): Promise<{ readonly url: string; readonly pixels: ImageData } | undefined> {
  for (const place of pictureInputs(tabOf(target.tab))) {
    const value = valueOf(place.target);
    if (place.target.node === target.node || value === "" || channelOf(place.target) !== undefined) continue;
    const url = inputAddress(value, "rgb");
    const picture = await fetchPicture(url).catch(() => undefined);
    if (picture !== undefined && picture.width === width && picture.height === height) return { url, pixels: dataOf(picture) };
  }
  return undefined;
}

export function dataOf(picture: ImageBitmap): ImageData {
  const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height);
}

/** The mask as it is kept: a PNG whose alpha is 0 where it is masked. */
export function maskBlob(mask: Uint8ClampedArray, width: number, height: number): Promise<Blob> {
  const data = new ImageData(width, height);
  for (let at = 0; at < mask.length; at++) data.data[at * 4 + 3] = 255 - (mask[at] ?? 0);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")!.putImageData(data, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}
