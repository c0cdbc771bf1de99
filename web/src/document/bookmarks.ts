/** Bookmarks in files: the ecosystem's have no place of their own for them, so they stand in the workflow's `extra`. */
import { isObject, member, objectOf } from "./json";
import type { Bookmark, GraphId, Json, JsonObject, Workflow } from "./types";

const KEY = "safelight_bookmarks";

/** Bookmarks as they stand in a file; those of graphs that are not there are left out. */
export function bookmarksFrom(value: Json | undefined, graphs: ReadonlyMap<GraphId, unknown>): Workflow["bookmarks"] {
  const found = Object.entries(objectOf(value)).flatMap(([digit, one]) => {
    const bookmark = /^[1-9]$/.test(digit) && isObject(one) ? bookmarkOf(one) : undefined;
    return bookmark !== undefined && graphs.has(bookmark.graph) ? [[digit, bookmark] as const] : [];
  });
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

function bookmarkOf({ graph, x, y, zoom, node, name }: JsonObject): Bookmark | undefined {
  if (typeof graph !== "string" || typeof x !== "number" || typeof y !== "number" || typeof zoom !== "number") return undefined;
  return { graph, x, y, zoom, ...(typeof node === "string" && { node }), ...(typeof name === "string" && { name }) };
}

export const readBookmarks = (data: JsonObject, graphs: ReadonlyMap<GraphId, unknown>): Workflow["bookmarks"] =>
  bookmarksFrom(member(data.extra, KEY), graphs);

/** `out` is the workflow as it will be written. */
export function writeBookmarks(out: Record<string, Json>, workflow: Workflow): void {
  const { bookmarks } = workflow;
  if (bookmarks !== undefined) out.extra = { ...objectOf(out.extra), [KEY]: bookmarks as unknown as Json };
  else if (bookmarksFrom(member(out.extra, KEY), workflow.graphs) !== undefined) {
    const { [KEY]: _gone, ...extra } = objectOf(out.extra);
    out.extra = extra;
  }
}
