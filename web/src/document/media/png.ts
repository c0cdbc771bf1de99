/** Texts of PNG files: tEXt, zTXt, iTXt, and the private chunk of animated ones. */
import { Bytes, decoded, latin1, Malformed, MAX_PARTS, MAX_TEXT } from "./bytes";

export async function pngTexts(file: Bytes): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  let at = 8;
  for (let part = 0; part < MAX_PARTS && at + 12 <= file.length; part++) {
    const length = file.u32(at);
    const kind = file.name(at + 4);
    // What is cut off at the end of a file does not take away what came before.
    if (at + 8 + length > file.length) break;
    const pair = await chunkText(kind, file, at + 8, length).catch((error: unknown) => {
      if (error instanceof Malformed) return undefined;
      throw error;
    });
    if (pair !== undefined && !texts.has(pair[0])) texts.set(...pair);
    if (kind === "IEND") break;
    at += 12 + length;
  }
  return texts;
}

async function chunkText(kind: string, file: Bytes, at: number, length: number): Promise<[string, string] | undefined> {
  if (kind !== "tEXt" && kind !== "zTXt" && kind !== "iTXt" && kind !== "comf") return undefined;
  const data = file.slice(at, length);
  const end = data.indexOf(0);
  if (end < 0) return undefined;
  const key = latin1(data.subarray(0, end));
  if (kind === "tEXt" || kind === "comf") return [key, decoded(data.subarray(end + 1))];
  if (kind === "zTXt") return [key, decoded(await inflated(data.subarray(end + 2)))];
  const packed = data[end + 1] === 1;
  const language = data.indexOf(0, end + 3);
  const translated = data.indexOf(0, language + 1);
  if (language < 0 || translated < 0) return undefined;
  const text = data.subarray(translated + 1);
  return [key, decoded(packed ? await inflated(text) : text)];
}

/** Unpacks zlib data, but no more than a text may have. */
export async function inflated(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.length;
      if (size > MAX_TEXT) throw new Malformed("a text unpacks to too much");
      parts.push(next.value);
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw error instanceof Malformed ? error : new Malformed("a text cannot be unpacked");
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
