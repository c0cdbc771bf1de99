/** Texts of MP4, MOV and AVIF files (boxes in boxes), and of WebM (EBML). */
import { Bytes, decoded, latin1, MAX_PARTS } from "./bytes";
import { exifTexts } from "./exif";

interface Box {
  readonly kind: string;
  readonly body: Bytes;
}

function* boxes(data: Bytes, from = 0): Generator<Box> {
  let at = from;
  for (let part = 0; part < MAX_PARTS && at + 8 <= data.length; part++) {
    let size = data.u32(at);
    let header = 8;
    if (size === 1 && at + 16 <= data.length) {
      size = data.u64(at + 8);
      header = 16;
    } else if (size === 0) size = data.length - at;
    if (size < header || at + size > data.length) return;
    yield { kind: data.name(at + 4), body: data.part(at + header, size - header) };
    at += size;
  }
}

function inside(data: Bytes | undefined, kind: string, from = 0): Bytes | undefined {
  if (data === undefined) return undefined;
  for (const box of boxes(data, from)) if (box.kind === kind) return box.body;
  return undefined;
}

/** Names stand in one list, values in another that counts them; QuickTime has them without the outer box. */
export function mp4Texts(file: Bytes): Map<string, string> {
  const texts = new Map<string, string>();
  const moov = inside(file, "moov");
  const udta = inside(moov, "udta");
  for (const holder of [udta, moov]) {
    const meta = inside(holder, "meta");
    if (meta === undefined) continue;
    // The box of MP4 has a version in front, that of QuickTime does not.
    const from = meta.length >= 8 && ["hdlr", "keys", "ilst"].includes(meta.name(4)) ? 0 : 4;
    const keys = keyNames(inside(meta, "keys", from));
    for (const { kind, body } of boxes(inside(meta, "ilst", from) ?? new Bytes(new Uint8Array()))) {
      const data = inside(body, "data");
      const number = body.length > 0 ? kindNumber(kind) : 0;
      const name = keys[number - 1] ?? plainName(kind, body);
      if (data !== undefined && data.length >= 8 && name !== undefined && !texts.has(name))
        texts.set(name, decoded(data.slice(8, data.length - 8)));
    }
  }
  return texts;
}

function keyNames(keys: Bytes | undefined): string[] {
  const names: string[] = [];
  if (keys === undefined || keys.length < 8) return names;
  let at = 8;
  for (let number = 0; number < Math.min(keys.u32(4), MAX_PARTS) && at + 8 <= keys.length; number++) {
    const size = keys.u32(at);
    if (size < 8) break;
    names.push(decoded(keys.slice(at + 8, size - 8)));
    at += size;
  }
  return names;
}

function kindNumber(kind: string): number {
  return [...kind].reduce((sum, letter) => sum * 256 + letter.charCodeAt(0), 0);
}

/** A comment, or a name that the entry carries itself. */
function plainName(kind: string, body: Bytes): string | undefined {
  if (kind === "\u00a9cmt") return "comment";
  const name = inside(body, "name");
  return kind === "----" && name !== undefined && name.length > 4 ? decoded(name.slice(4, name.length - 4)) : undefined;
}

/** EXIF data is an item of the file like the picture; where it lies, one list says, and what it is, another. */
export function avifTexts(file: Bytes): Map<string, string> {
  const meta = inside(file, "meta");
  const info = inside(meta, "iinf", 4);
  const places = inside(meta, "iloc", 4);
  if (info === undefined || places === undefined) return new Map();
  const id = exifItem(info);
  const place = id === undefined ? undefined : itemPlace(places, id);
  if (place === undefined) return new Map();
  const item = file.part(place.at, place.length);
  const skip = 4 + item.u32(0);
  return exifTexts(item.part(skip, item.length - skip));
}

function exifItem(info: Bytes): number | undefined {
  for (const { kind, body } of boxes(info, info.u8(0) === 0 ? 6 : 8)) {
    if (kind !== "infe" || body.u8(0) < 2) continue;
    const wide = body.u8(0) > 2;
    if (body.name(wide ? 10 : 8) === "Exif") return wide ? body.u32(4) : body.u16(4);
  }
  return undefined;
}

function itemPlace(places: Bytes, wanted: number): { at: number; length: number } | undefined {
  const version = places.u8(0);
  const sizes = places.u16(4);
  const [offsetSize, lengthSize, baseSize, indexSize] = [
    sizes >> 12,
    (sizes >> 8) & 15,
    (sizes >> 4) & 15,
    version > 0 ? sizes & 15 : 0,
  ];
  let at = version < 2 ? 8 : 10;
  const read = (size: number): number => {
    at += size;
    if (size === 0) return 0;
    return size === 8 ? places.u64(at - 8) : size === 4 ? places.u32(at - 4) : places.u16(at - size);
  };
  const count = Math.min(version < 2 ? places.u16(6) : places.u32(6), MAX_PARTS);
  for (let item = 0; item < count; item++) {
    const id = read(version < 2 ? 2 : 4);
    if (version > 0) read(2);
    read(2);
    const base = read(baseSize);
    const extents = read(2);
    for (let extent = 0; extent < extents; extent++) {
      if (extent > MAX_PARTS) return undefined;
      read(indexSize);
      const offset = read(offsetSize);
      const length = read(lengthSize);
      if (id === wanted) return { at: base + offset, length };
    }
  }
  return undefined;
}

const SEGMENT = 0x18538067;
const CONTAINERS: ReadonlySet<number> = new Set([SEGMENT, 0x1254c367, 0x7373, 0x67c8]);
const TAG_NAME = 0x45a3;
const TAG_STRING = 0x4487;

/** Tags stand before or after the pictures, which are stepped over by their size. */
export function webmTexts(file: Bytes): Map<string, string> {
  const texts = new Map<string, string>();
  const pending: { at: number; end: number }[] = [{ at: 0, end: file.length }];
  let name: string | undefined;
  let parts = 0;
  for (let range = pending.pop(); range !== undefined; range = pending.pop()) {
    let { at } = range;
    while (at < range.end && parts++ < 50 * MAX_PARTS) {
      const id = variable(file, at, true);
      const size = id && variable(file, id.next, false);
      if (id === undefined || size === undefined) break;
      // A stream that was never finished says no size: it goes on to the end.
      const end = Math.min(size.value === undefined ? range.end : size.next + size.value, range.end);
      if (CONTAINERS.has(id.value ?? 0)) {
        pending.push({ at: end, end: range.end });
        at = size.next;
        range = { at, end };
        continue;
      }
      if (id.value === TAG_NAME) name = latin1(file.slice(size.next, end - size.next)).toLowerCase();
      if (id.value === TAG_STRING && name !== undefined) {
        if (!texts.has(name)) texts.set(name, decoded(file.slice(size.next, end - size.next)));
        name = undefined;
      }
      at = end;
    }
  }
  return texts;
}

/** A number whose first byte says how long it is; nothing for the one that means "unknown". */
function variable(
  file: Bytes,
  at: number,
  keepMarker: boolean,
): { value: number | undefined; next: number } | undefined {
  if (at >= file.length) return undefined;
  const first = file.u8(at);
  const length = Math.clz32(first) - 23;
  if (length > 8 || at + length > file.length) return undefined;
  let value = keepMarker ? first : first & (0xff >> length);
  let ones = (first | (0xff << (8 - length))) & 0xff;
  for (let byte = 1; byte < length; byte++) {
    value = value * 256 + file.u8(at + byte);
    ones &= file.u8(at + byte);
  }
  const unknown = !keepMarker && ones === 0xff && (first & (0xff >> length)) === 0xff >> length;
  return { value: unknown ? undefined : value, next: at + length };
}
