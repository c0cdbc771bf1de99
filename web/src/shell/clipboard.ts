/** Copy and paste of nodes; as text, so that it works between windows. */
import { clipFromText, clipToText, copy as copied, duplicate as duplicated, paste as pasted, type Clip } from "../document/operations/clipboard";
import { t } from "../i18n";
import { graphHandle } from "./graphHandle";
import { active } from "./workspace";

let kept: Clip | undefined;

export async function copy(): Promise<void> {
  const tab = active.get();
  if (tab === undefined) return;
  kept = copied(tab.document.workflow, tab.place.get().graph, tab.selection.current.nodes);
  // Without permission, or outside of a secure context, the copy works within this page.
  await navigator.clipboard?.writeText(clipToText(kept)).catch(() => undefined);
}

/** Put in what was copied, around the middle of the view. `linked` also keeps the links from nodes that were not copied. */
export async function paste(linked: boolean): Promise<void> {
  const tab = active.get();
  const text = await navigator.clipboard?.readText().catch(() => "");
  const clip = clipFromText(text ?? "") ?? kept;
  if (tab === undefined || clip === undefined || clip.nodes.length === 0) return;
  const at = graphHandle.get()?.toGraph(window.innerWidth / 2 - 120, window.innerHeight / 2 - 120) ?? { x: 0, y: 0 };
  const { command, ids } = pasted(tab.document.workflow, tab.place.get().graph, clip, { x: Math.round(at.x), y: Math.round(at.y) }, linked);
  tab.document.apply(command, t("step.paste", "Paste"));
  tab.selection.set({ nodes: new Set(ids) });
}

export function duplicate(): void {
  const tab = active.get();
  if (tab === undefined) return;
  const { command, ids } = duplicated(tab.document.workflow, tab.place.get().graph, tab.selection.current.nodes);
  tab.document.apply(command, t("step.paste", "Paste"));
  tab.selection.set({ nodes: new Set(ids) });
}
