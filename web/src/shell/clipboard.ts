/** Copy and paste of nodes; as text, so that it works between windows. */
import { clipFromText, clipToText, copy as copied, duplicate as duplicated, paste as pasted, type Clip } from "../document/operations/clipboard";
import { t } from "../i18n";
import { upload } from "../client/files";
import { pictureInputOf, setPicture } from "../pictures/actions";
import { addNode } from "./adding";
import { openFiles } from "./opening";
import { graphHandle, pointer } from "./graphHandle";
import { active, type Tab } from "./workspace";

let kept: Clip | undefined;

export async function copy(): Promise<void> {
  const tab = active.get();
  if (tab === undefined) return;
  kept = copied(tab.document.workflow, tab.place.get().graph, tab.selection.current.nodes);
  // Without permission, or outside of a secure context, the copy works within this page.
  await navigator.clipboard?.writeText(clipToText(kept)).catch(() => undefined);
}

/** Where things are put in: under the pointer, or in the middle of the view. */
function placeToPut(): { readonly x: number; readonly y: number } {
  const { at } = pointer;
  const handle = graphHandle.get();
  const found = at === undefined ? handle?.toGraph(window.innerWidth / 2 - 120, window.innerHeight / 2 - 120) : handle?.toGraph(at.x, at.y);
  return { x: Math.round(found?.x ?? 0), y: Math.round(found?.y ?? 0) };
}

/** A picture on the clipboard, where the page may look for one. */
async function copiedPicture(): Promise<File | undefined> {
  const items = (await navigator.clipboard?.read?.().catch(() => [])) ?? [];
  for (const item of items) {
    const type = item.types.find((one) => one.startsWith("image/"));
    if (type !== undefined) return new File([await item.getType(type)], `pasted.${type.slice(6).replace(/\W.*$/, "")}`, { type });
  }
  return undefined;
}

/** A pasted picture becomes the input of the selected node that takes one, or of a new node. */
async function pastePicture(tab: Tab, file: File): Promise<void> {
  const { graph } = tab.place.get();
  const at = placeToPut();
  const target = [...tab.selection.current.nodes].flatMap((id) => {
    const input = pictureInputOf(tab, graph, id);
    return input === undefined ? [] : [{ tab: tab.key, graph, node: id, input: input.name }];
  })[0];
  const { name, subfolder } = await upload(file);
  const value = subfolder === "" || subfolder === undefined ? name : `${subfolder}/${name}`;
  if (target !== undefined) setPicture(target, value, t("step.picture", "Another picture"));
  else addNode("LoadImage", at, undefined, { image: value });
}

/** Put in what was copied, at the pointer. `linked` also keeps the links from nodes that were not copied. */
export async function paste(linked: boolean): Promise<void> {
  const tab = active.get();
  const at = placeToPut();
  const text = await navigator.clipboard?.readText().catch(() => "");
  const found = clipFromText(text ?? "");
  const picture = found === undefined && (text ?? "") === "" ? await copiedPicture() : undefined;
  if (tab === undefined) return;
  if (picture !== undefined) return pastePicture(tab, picture);
  // The text of a workflow is opened as one.
  if (found === undefined && /^\s*\{[^]*"(nodes|class_type)"/.test(text ?? "")) return openFiles([new File([text ?? ""], `${t("pasted", "pasted")}.json`, { type: "application/json" })]);
  const clip = found ?? kept;
  if (clip === undefined || clip.nodes.length === 0) return;
  const { command, ids } = pasted(tab.document.workflow, tab.place.get().graph, clip, at, linked);
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
