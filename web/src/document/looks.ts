/** How links look, in the ecosystem's files: they have no place of their own for it, so it stands in the graph's `extra`. */
import { isObject, member, objectOf, withEntry } from "./json";
import type { Graph, Json, JsonObject, Link } from "./types";

/** Key in `extra` of the workflow or of a definition. */
const KEY = "safelight_links";

export function readLooks(data: JsonObject, links: Map<string, Link>): void {
  for (const [id, look] of Object.entries(objectOf(member(data.extra, KEY)))) {
    const link = links.get(id);
    if (link === undefined || !isObject(look)) continue;
    links.set(id, {
      ...link,
      ...(look.hidden === true && { hidden: true }),
      ...(typeof look.portal === "string" && look.portal !== "" && { portal: look.portal }),
    });
  }
}

/** `out` is the graph as it will be written; nothing changes in a file whose links all look as they did. */
export function writeLooks(out: Record<string, Json>, graph: Graph): void {
  const looks: Record<string, Json> = {};
  for (const link of graph.links.values()) {
    if (link.hidden !== true && link.portal === undefined) continue;
    withEntry(looks, link.id, lookOf(link));
  }
  const before = member(out.extra, KEY);
  if (Object.keys(looks).length > 0) out.extra = { ...objectOf(out.extra), [KEY]: looks };
  else if (before !== undefined && Object.keys(objectOf(before)).length > 0) {
    const { [KEY]: _gone, ...extra } = objectOf(out.extra);
    out.extra = extra;
  }
}

function lookOf(link: Link): JsonObject {
  return { ...(link.hidden === true && { hidden: true }), ...(link.portal !== undefined && { portal: link.portal }) };
}
