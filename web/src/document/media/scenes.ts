/** Texts of 3D scenes (GLB) and of SVG drawings. */
import { isObject, member } from "../json";
import type { Json } from "../types";
import { Bytes, decoded, Malformed, MAX_TEXT } from "./bytes";

export function glbTexts(file: Bytes): Map<string, string> {
  const size = file.u32(12, true);
  if (file.name(16) !== "JSON" || size > MAX_TEXT) throw new Malformed("the scene has no description");
  return textsIn(member(member(JSON.parse(decoded(file.slice(20, size))) as Json, "asset"), "extras"));
}

export function svgTexts(file: Bytes): Map<string, string> {
  const text = decoded(file.slice(0, Math.min(file.length, MAX_TEXT)));
  const start = text.indexOf("<metadata");
  const open = start < 0 ? -1 : text.indexOf("<![CDATA[", start);
  const end = open < 0 ? -1 : text.indexOf("]]>", open);
  return end < 0 ? new Map() : textsIn(JSON.parse(text.slice(open + 9, end)) as Json);
}

function textsIn(data: Json | undefined): Map<string, string> {
  const entries = isObject(data) ? Object.entries(data) : [];
  return new Map(entries.map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
}
