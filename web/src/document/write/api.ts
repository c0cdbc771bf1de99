/** Writing an API prompt as a file: what will be sent, with the other keys that its entries came with. */
import { objectOf } from "../json";
import { toPrompt } from "../prompt";
import { ROOT, type Json, type JsonObject, type Specs, type Workflow } from "../types";

export function writeApi(workflow: Workflow, specs: Specs): JsonObject {
  const nodes = workflow.graphs.get(ROOT)!.nodes;
  const entries = Object.entries(toPrompt(workflow, specs)).map(([id, entry]): [string, Json] => {
    const node = nodes.get(id);
    const came = node?.extra?.api;
    if (came === undefined) return [id, entry as unknown as Json];
    const { _meta, ...plain } = entry;
    const { _meta: before, ...others } = objectOf(came);
    // An entry that named no title gets none, unless it has been given one.
    const meta =
      before === undefined && node!.title === undefined ? {} : { _meta: { ...objectOf(before), title: _meta.title } };
    return [id, { ...plain, ...others, ...meta } as Json];
  });
  return Object.fromEntries(entries);
}
