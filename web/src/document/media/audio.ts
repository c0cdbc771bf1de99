/** Texts of FLAC, Ogg and MP3 files, and of safetensors headers. */
import { Bytes, decoded, latin1, Malformed, MAX_PARTS, MAX_TEXT, utf16 } from "./bytes";
import { isObject } from "../json";

export function flacTexts(file: Bytes): Map<string, string> {
  let at = 4;
  for (let part = 0; part < MAX_PARTS && at + 4 <= file.length; part++) {
    const head = file.u32(at);
    const size = head & 0xffffff;
    if (((head >>> 24) & 0x7f) === 4) return comments(file.part(at + 4, size));
    if (head >>> 31 === 1) break;
    at += 4 + size;
  }
  return new Map();
}

/** Vorbis comments: a count, then "NAME=text" with their lengths before them. */
function comments(data: Bytes): Map<string, string> {
  const texts = new Map<string, string>();
  let at = 4 + data.u32(0, true);
  const count = Math.min(data.u32(at, true), MAX_PARTS);
  at += 4;
  for (let number = 0; number < count; number++) {
    const size = data.u32(at, true);
    const text = decoded(data.slice(at + 4, size));
    const equals = text.indexOf("=");
    if (equals > 0) texts.set(text.slice(0, equals).toLowerCase(), text.slice(equals + 1));
    at += 4 + size;
  }
  return texts;
}

/** The comments of Ogg are a packet of its own, cut into pages of at most 64 kB. */
export function oggTexts(file: Bytes): Map<string, string> {
  const packets: number[][] = [[]];
  const parts: Uint8Array[] = [];
  let size = 0;
  let at = 0;
  for (let page = 0; page < MAX_PARTS && at + 27 <= file.length && file.startsWith("OggS", at); page++) {
    const segments = file.u8(at + 26);
    let body = at + 27 + segments;
    for (let segment = 0; segment < segments; segment++) {
      const length = file.u8(at + 27 + segment);
      if (packets.length === 2) {
        parts.push(file.slice(body, length));
        size += length;
        if (size > MAX_TEXT) throw new Malformed("the comments are too long");
      }
      body += length;
      if (length === 255) continue;
      packets.push([]);
      if (packets.length === 3) return packetTexts(parts, size);
    }
    at = body;
  }
  return new Map();
}

function packetTexts(parts: readonly Uint8Array[], size: number): Map<string, string> {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  const packet = new Bytes(whole);
  const start = packet.startsWith("OpusTags") ? 8 : 7;
  return comments(packet.part(start, size - start));
}

/** ID3: user texts (`TXXX`), a description and a value. */
export function id3Texts(file: Bytes): Map<string, string> {
  const texts = new Map<string, string>();
  const newer = file.u8(3) === 4;
  const synchsafe = (at: number) =>
    (file.u8(at) << 21) | (file.u8(at + 1) << 14) | (file.u8(at + 2) << 7) | file.u8(at + 3);
  const end = Math.min(10 + synchsafe(6), file.length);
  let at = 10;
  for (let part = 0; part < MAX_PARTS && at + 10 <= end; part++) {
    const size = newer ? synchsafe(at + 4) : file.u32(at + 4);
    if (size === 0 || at + 10 + size > end) break;
    if (file.startsWith("TXXX", at)) {
      const [key, value] = id3Pair(file.slice(at + 10, size));
      if (key !== undefined && value !== undefined) texts.set(key.toLowerCase(), value);
    }
    at += 10 + size;
  }
  return texts;
}

/** The first byte says how the letters are written. */
function id3Pair(data: Uint8Array): string[] {
  const body = data.subarray(1);
  const text = data[0] === 0 ? latin1(body) : data[0] === 3 ? decoded(body) : utf16(body, data[0] === 2);
  return text.split("\0").map((one) => one.replace(/^[\ufeff\ufffe]/, ""));
}

/** The header of a safetensors or .latent file: its length, then JSON with `__metadata__`. */
export function safetensorsTexts(file: Bytes): Map<string, string> {
  const size = file.u64(0, true);
  if (size > Math.min(file.length - 8, 100 << 20)) throw new Malformed("the header is longer than the file");
  const header: unknown = JSON.parse(decoded(file.slice(8, size)));
  const metadata = isObject(header) ? header.__metadata__ : undefined;
  const entries = Object.entries(isObject(metadata) ? metadata : {});
  return new Map(entries.flatMap(([key, value]) => (typeof value === "string" ? [[key, value] as const] : [])));
}
