/** Writing groups; members are only written where geometry does not tell them. */
import { fileOf } from "../fileRecords";
import { fileId, idOf, isObject, sameJson } from "../json";
import { boundsOf, inside } from "../read/groups";
import type { Graph, Json } from "../types";

export function writeGroups(graph: Graph): Json[] {
  return [...graph.groups.values()].map((group) => {
    const file = fileOf(group);
    const out: Record<string, Json> =
      file === undefined ? { id: fileId(group.id), flags: {}, font_size: 24 } : { ...file };
    if (idOf(out.id) !== undefined && idOf(out.id) !== group.id) out.id = fileId(group.id);
    if ((typeof out.title === "string" ? out.title : "") !== group.title) out.title = group.title;
    const box = boundsOf(out.bounding);
    if (box === undefined || !(["x", "y", "width", "height"] as const).every((key) => box[key] === group[key])) {
      const list = [group.x, group.y, group.width, group.height];
      out.bounding = isObject(out.bounding)
        ? Object.fromEntries(list.map((value, place) => [String(place), value]))
        : list;
    }
    if ((typeof out.color === "string" ? out.color : undefined) !== group.color) {
      if (group.color === undefined) delete out.color;
      else out.color = group.color;
    }
    const expected = Array.isArray(out.members)
      ? out.members.map(idOf).filter((id) => id !== undefined && graph.nodes.has(id))
      : inside(group, graph.nodes);
    if (!sameJson([...(expected as string[])].sort(), [...group.members].sort()))
      out.members = group.members.map(fileId);
    return out;
  });
}
