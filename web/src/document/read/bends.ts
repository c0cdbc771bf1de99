/** Points on links: a link names the last, and each names the one before it. */
import { pairOf } from "../fileRecords";
import { idOf, isObject, listOf, member } from "../json";
import type { Json, JsonObject, Link } from "../types";

type Bends = NonNullable<Link["bends"]>;

export interface BendTables {
  readonly points: ReadonlyMap<string, JsonObject>;
  /** The last point of each link that has one. */
  readonly last: ReadonlyMap<string, string>;
}

export function bendTables(data: JsonObject): BendTables {
  const listed = data.reroutes ?? member(data.extra, "reroutes");
  const points = new Map<string, JsonObject>();
  for (const one of listOf(listed)) {
    const id = isObject(one) ? idOf(one.id) : undefined;
    if (isObject(one) && id !== undefined && !points.has(id)) points.set(id, one);
  }
  const last = new Map<string, string>();
  for (const one of listOf(member(data.extra, "linkExtensions")))
    note(last, member(one, "id"), member(one, "parentId"));
  for (const one of listOf(data.links)) note(last, member(one, "id"), member(one, "parentId"));
  return { points, last };
}

function note(last: Map<string, string>, link: Json | undefined, point: Json | undefined): void {
  const id = idOf(link);
  const parent = idOf(point);
  if (id !== undefined && parent !== undefined) last.set(id, parent);
}

export function bendsOf(tables: BendTables, link: string): Bends | undefined {
  const bends: { x: number; y: number; id: string }[] = [];
  const seen = new Set<string>();
  for (let id = tables.last.get(link); id !== undefined && !seen.has(id);) {
    seen.add(id);
    const point = tables.points.get(id);
    const place = pairOf(point?.pos, "x", "y");
    if (point === undefined || place === undefined) break;
    bends.push({ x: place[0], y: place[1], id });
    id = idOf(point.parentId);
  }
  return bends.length > 0 ? bends.reverse() : undefined;
}

/** Gives links their bends; says which points no link runs through, and which links have bends. */
export function readBends(data: JsonObject, links: Map<string, Link>): { idle: string[]; bent: string[] } {
  const tables = bendTables(data);
  if (tables.points.size === 0) return { idle: [], bent: [] };
  const used = new Set<string>();
  const bent: string[] = [];
  for (const id of tables.last.keys()) {
    const link = links.get(id);
    const bends = link && bendsOf(tables, id);
    if (link === undefined || bends === undefined) continue;
    links.set(id, { ...link, bends });
    bent.push(id);
    for (const bend of bends) used.add(bend.id);
  }
  return { idle: [...tables.points.keys()].filter((id) => !used.has(id)), bent };
}
