/** What a dropped file carries: a workflow, a prompt, or settings as plain text. Nothing is sent anywhere. */
import { exactNumbers, withExact } from "./exact";
import { isObject } from "./json";
import { Bytes, decoded, Malformed } from "./media/bytes";
import { flacTexts, id3Texts, oggTexts, safetensorsTexts } from "./media/audio";
import { avifTexts, mp4Texts, webmTexts } from "./media/boxes";
import { glbTexts, svgTexts } from "./media/scenes";
import { jpegTexts, webpTexts } from "./media/exif";
import { pngTexts } from "./media/png";
import { looksNative } from "./nativeForm";
import { parseJson, readWorkflow } from "./open";
import { DocumentError } from "./problems";
import { looksLikeApi } from "./read/api";
import { looksLikeEditor } from "./read/editor";
import type { Json, JsonObject, Specs, Workflow } from "./types";

export interface FileContents {
  /** The editor's document. */
  readonly workflow?: JsonObject;
  /** The API prompt that ran. */
  readonly prompt?: JsonObject;
  /** Settings as other programs write them, one text. */
  readonly parameters?: string;
  /** How numbers were written that are too large to be exact. */
  readonly exact?: JsonObject;
}

const JSON_LIMIT = 256 << 20;

/** Reads what a file carries. Raises `DocumentError` for JSON with an error in it; other files may carry nothing. */
export async function readFile(data: ArrayBuffer): Promise<FileContents> {
  const file = new Bytes(new Uint8Array(data));
  if (looksLikeJson(file)) {
    const text = decoded(file.slice(0, Math.min(file.length, JSON_LIMIT)));
    return { ...fromJson(parseJson(text)), ...exactly(text) };
  }
  let texts: ReadonlyMap<string, string>;
  try {
    texts = await textsOf(file);
  } catch (error) {
    // A damaged file carries nothing; it must not break the page.
    if (error instanceof Malformed || error instanceof SyntaxError || error instanceof RangeError) return {};
    throw error;
  }
  return fromTexts(texts);
}

/** Opens a dropped file: its workflow, or else its prompt laid out. Raises `DocumentError` when it carries neither. */
export async function openFile(data: ArrayBuffer, specs: Specs): Promise<Workflow> {
  const { workflow, prompt, parameters, exact } = await readFile(data);
  const found = workflow ?? prompt;
  if (found !== undefined) return withExact(readWorkflow(found, specs), exact);
  const hint = parameters !== undefined ? "; its settings are kept as plain text, which names no nodes" : "";
  throw new DocumentError(`the file carries no workflow${hint}`);
}

async function textsOf(file: Bytes): Promise<ReadonlyMap<string, string>> {
  if (file.startsWith("\x89PNG\r\n\x1a\n")) return pngTexts(file);
  if (file.startsWith("RIFF") && file.startsWith("WEBP", 8)) return webpTexts(file);
  if (file.startsWith("\xff\xd8")) return jpegTexts(file);
  if (file.startsWith("ftyp", 4))
    return ["avif", "avis", "mif1", "heic"].includes(file.name(8)) ? avifTexts(file) : mp4Texts(file);
  if (file.startsWith("\x1a\x45\xdf\xa3")) return webmTexts(file);
  if (file.startsWith("fLaC")) return flacTexts(file);
  if (file.startsWith("OggS")) return oggTexts(file);
  if (file.startsWith("ID3")) return id3Texts(file);
  if (file.startsWith("glTF")) return glbTexts(file);
  if (file.startsWith("<")) return svgTexts(file);
  if (file.length > 10 && file.u8(8) === 0x7b) return safetensorsTexts(file);
  return new Map();
}

function looksLikeJson(file: Bytes): boolean {
  let at = file.startsWith("\xef\xbb\xbf") ? 3 : 0;
  while (at < Math.min(file.length, 4096) && [0x20, 0x09, 0x0a, 0x0d].includes(file.u8(at))) at += 1;
  // A safetensors header of 91 or 123 bytes starts with such a byte too, but then with zeros.
  return (
    at < file.length &&
    (file.u8(at) === 0x7b || file.u8(at) === 0x5b) &&
    !(file.length > 8 && file.u8(at + 1 < file.length ? at + 1 : at) === 0)
  );
}

function fromJson(data: Json): FileContents {
  if (isObject(data) && (looksNative(data) || looksLikeEditor(data))) return { workflow: data };
  if (isObject(data) && (isObject(data.workflow) || isObject(data.prompt)) && !looksLikeApi(data)) {
    return {
      ...(isObject(data.workflow) && { workflow: data.workflow }),
      ...(isObject(data.prompt) && { prompt: data.prompt }),
    };
  }
  if (isObject(data) && looksLikeApi(data)) return { prompt: data };
  throw new DocumentError("the file is JSON, but no workflow");
}

function fromTexts(texts: ReadonlyMap<string, string>): FileContents {
  // Some writers keep both in one comment.
  const both = parsed(texts.get("comment"));
  const workflow = parsed(texts.get("workflow")) ?? inner(both, "workflow");
  const prompt = parsed(texts.get("prompt")) ?? inner(both, "prompt");
  const parameters = texts.get("parameters");
  return {
    ...(workflow !== undefined && (looksNative(workflow) || looksLikeEditor(workflow)) && { workflow }),
    ...(prompt !== undefined && looksLikeApi(prompt) && { prompt }),
    ...(parameters !== undefined && { parameters }),
    ...exactly((workflow ? texts.get("workflow") : undefined) ?? texts.get("prompt") ?? texts.get("comment") ?? ""),
  };
}

function exactly(text: string): { exact?: JsonObject } {
  const exact = exactNumbers(text);
  return exact === undefined ? {} : { exact };
}

function inner(data: JsonObject | undefined, key: string): JsonObject | undefined {
  const value = data?.[key];
  return isObject(value) ? value : typeof value === "string" ? parsed(value) : undefined;
}

function parsed(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  try {
    const data = parseJson(text);
    return isObject(data) ? data : undefined;
  } catch (error) {
    if (error instanceof DocumentError) return undefined;
    throw error;
  }
}
