/** Writing the points on links, when any of them changed. */
import { spelledPair } from "../fileRecords";
import { fileId, idOf, isObject, listOf, member, objectOf, sameJson } from "../json";
import { freeBendIds } from "../operations/bends";
import { bendsOf, bendTables } from "../read/bends";
import type { Graph, Json, JsonObject, Link, LinkId } from "../types";

type Fields = Record<string, Json>;

/** `out` holds the links as they will be written, and the tables as they were read. */
export function writeBends(out: Fields, graph: Graph): void {
  const found = [...graph.links.values()].filter((link) => link.bends !== undefined && link.bends.length > 0);
  const before = listOf(graph.extra?.bent);
  if (found.length === 0 && before.length === 0) return;
  const tables = bendTables({ ...out, links: fileLinks(graph) });
  const same =
    before.length === found.length &&
    found.every(
      (link) =>
        before.includes(link.id) &&
        sameJson(bendsOf(tables, link.id) as unknown as Json, link.bends as unknown as Json),
    );
  if (same) return;
  const bent = apart(graph, found);
  const idle = new Set(listOf(graph.extra?.idleReroutes));
  const rows = new Map<string, Fields>();
  for (const link of bent) {
    let previous: string | undefined;
    for (const bend of link.bends!) {
      const file = tables.points.get(bend.id);
      const row = rows.get(bend.id) ?? {
        ...(file ?? {}),
        id: file?.id ?? fileId(bend.id),
        pos: spelledPair(file?.pos, bend.x, bend.y),
        linkIds: [],
      };
      if (previous === undefined) delete row.parentId;
      else row.parentId = fileId(previous);
      row.linkIds = [...listOf(row.linkIds), fileId(link.id)];
      rows.set(bend.id, row);
      previous = bend.id;
    }
  }
  const kept = [...tables.points].filter(([id]) => idle.has(id) && !rows.has(id)).map(([, row]) => row);
  const reroutes: Json = [...kept, ...rows.values()];
  const extensions: Json = bent.map((link) => ({ id: fileId(link.id), parentId: fileId(link.bends!.at(-1)!.id) }));
  const usesObjects = listOf(out.links).some(isObject);
  if (usesObjects) {
    out.reroutes = reroutes;
    const last = new Map(bent.map((link) => [link.id, link.bends!.at(-1)!.id]));
    out.links = listOf(out.links).map((link) => withParent(link, graph, last));
    return;
  }
  const extra: Fields = { ...objectOf(out.extra), reroutes, linkExtensions: extensions };
  out.extra = extra;
}

/** The links with bends. Those of two outputs are never one, whatever their ids say: two versions that were merged have such. */
function apart(graph: Graph, links: readonly Link[]): readonly Link[] {
  const fresh = freeBendIds(graph);
  const owners = new Map<string, string>();
  const renamed = new Map<string, string>();
  const own = (id: string, output: string): string => {
    const owner = owners.get(id) ?? output;
    owners.set(id, owner);
    if (owner === output) return id;
    const name = renamed.get(`${output} ${id}`) ?? fresh();
    renamed.set(`${output} ${id}`, name);
    return name;
  };
  return links.map((link) => ({ ...link, bends: link.bends!.map((bend) => ({ ...bend, id: own(bend.id, `${link.from} ${link.output}`) })) }));
}

function withParent(link: Json, graph: Graph, parents: ReadonlyMap<LinkId, string>): Json {
  const id = idOf(member(link, "id"));
  const last = id === undefined ? undefined : parents.get(id);
  if (!isObject(link) || (id !== undefined && !graph.links.has(id))) return link;
  const { parentId: _old, ...rest } = link as JsonObject & { parentId?: Json };
  return last === undefined ? rest : { ...rest, parentId: fileId(last) };
}

/** The links as the file had them: their own word on which point comes last. */
function fileLinks(graph: Graph): Json {
  return [...graph.links.values()].flatMap((link) => (isObject(link.extra?.file) ? link.extra.file : []));
}
