/** Texts in EXIF data, as WebP, JPEG and AVIF files carry them: "prompt:{…}", "workflow:{…}", or a comment. */
import { Bytes, decoded, Malformed, MAX_PARTS, utf16 } from "./bytes";

const USER_COMMENT = 0x9286;
const EXIF_FOLDER = 0x8769;

export function exifTexts(data: Bytes): Map<string, string> {
  const texts = new Map<string, string>();
  const start = data.startsWith("Exif\0\0") ? 6 : 0;
  const tiff = data.part(start, data.length - start);
  const order = tiff.startsWith("II") ? true : tiff.startsWith("MM") ? false : undefined;
  if (order === undefined) return texts;
  const seen = new Set<number>();
  const pending = [tiff.u32(4, order)];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (at === 0 || seen.has(at)) continue;
    seen.add(at);
    const count = tiff.u16(at, order);
    for (let entry = 0; entry < Math.min(count, MAX_PARTS); entry++) {
      const place = at + 2 + 12 * entry;
      const tag = tiff.u16(place, order);
      const kind = tiff.u16(place + 2, order);
      const size = tiff.u32(place + 4, order);
      const value = tiff.u32(place + 8, order);
      if (tag === EXIF_FOLDER) pending.push(value);
      else if ((kind === 1 || kind === 2 || kind === 7) && size > 4) note(texts, tag, tiff.slice(value, size));
    }
  }
  return texts;
}

function note(texts: Map<string, string>, tag: number, data: Uint8Array): void {
  const text = tag === USER_COMMENT ? comment(data) : decoded(data).replace(/\0+$/, "");
  const split = /^(\w{1,40}):(?=\s*[{[])/.exec(text);
  if (split !== null && !texts.has(split[1]!.toLowerCase()))
    texts.set(split[1]!.toLowerCase(), text.slice(split[0].length));
  else if (tag === USER_COMMENT && !texts.has("parameters")) texts.set("parameters", text);
}

/** A comment names its letters first: "ASCII", or "UNICODE" for two bytes each, of either order. */
function comment(data: Uint8Array): string {
  const body = data.subarray(8);
  const label = decoded(data.subarray(0, 8)).replace(/\0+$/, "");
  if (label !== "UNICODE") return decoded(label === "ASCII" || label === "" ? body : data).replace(/\0+$/, "");
  const big = body.length > 1 && body[0] === 0;
  return utf16(body, big).replace(/\0+$/, "");
}

export function webpTexts(file: Bytes): Map<string, string> {
  let at = 12;
  for (let part = 0; part < MAX_PARTS && at + 8 <= file.length; part++) {
    const size = file.u32(at + 4, true);
    if (file.name(at) === "EXIF") return exifTexts(file.part(at + 8, size));
    at += 8 + size + (size % 2);
  }
  return new Map();
}

export function jpegTexts(file: Bytes): Map<string, string> {
  const texts = new Map<string, string>();
  let at = 2;
  for (let part = 0; part < MAX_PARTS && at + 4 <= file.length; part++) {
    if (file.u8(at) !== 0xff) break;
    const marker = file.u8(at + 1);
    if (marker === 0xff) {
      at += 1; // filling
      continue;
    }
    if (marker === 0xda || marker === 0xd9) break;
    const size = file.u16(at + 2);
    if (size < 2) throw new Malformed("a segment has no size");
    const body = file.part(at + 4, size - 2);
    if (marker === 0xe1 && body.startsWith("Exif")) for (const [key, text] of exifTexts(body)) texts.set(key, text);
    if (marker === 0xfe && !texts.has("parameters")) texts.set("parameters", decoded(body.data));
    at += 2 + size;
  }
  return texts;
}
