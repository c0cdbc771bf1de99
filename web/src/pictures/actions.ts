/** What is done with pictures: opened as a workflow, taken as an input, copied, deleted with a way back. */
import { t } from "../i18n";
import { specOf } from "../document/shown";
import type { Command, GraphId, InputSpec, NodeId } from "../document/types";
import { addNode } from "../shell/adding";
import { openAddress } from "../shell/opening";
import { say, sayError } from "../shell/toasts";
import { active, specs, tabs, type Tab } from "../shell/workspace";
import { copyToInputs, deletePictures, restorePictures } from "./files";
import { leaveAllScreens, type PictureInput, type Shown } from "./screens";

const isPictureInput = (input: InputSpec): boolean => input.options["image_upload"] === true;

/** The input of a node that names a picture, where it has one. */
export function pictureInputOf(tab: Tab, graph: GraphId, id: NodeId): InputSpec | undefined {
  const known = specs.get();
  const node = tab.document.workflow.graphs.get(graph)?.nodes.get(id);
  return known && node ? specOf(tab.document.workflow, node, known)?.inputs.find(isPictureInput) : undefined;
}

export interface InputPlace {
  readonly target: PictureInput;
  readonly title: string;
}

/** All inputs for pictures of the graph on screen. */
export function pictureInputs(tab: Tab | undefined = active.get()): readonly InputPlace[] {
  if (tab === undefined) return [];
  const { graph } = tab.place.get();
  const found: InputPlace[] = [];
  for (const node of tab.document.graph(graph).nodes.values()) {
    const input = pictureInputOf(tab, graph, node.id);
    if (input === undefined) continue;
    const title = node.title ?? specs.get()?.get(node.type)?.title ?? node.type;
    found.push({ target: { tab: tab.key, graph, node: node.id, input: input.name }, title });
  }
  return found;
}

export const tabOf = (key: string): Tab | undefined => tabs.get().find((one) => one.key === key);

export function valueOf(target: PictureInput): string {
  const value = tabOf(target.tab)?.document.node(target.graph, target.node)?.values[target.input];
  return typeof value === "string" ? value : "";
}

export function setPicture(target: PictureInput, value: string, label: string): void {
  const command: Command = { do: "setValue", graph: target.graph, id: target.node, input: target.input, value };
  tabOf(target.tab)?.document.apply(command, label);
}

export async function openAsWorkflow(picture: Shown): Promise<void> {
  leaveAllScreens();
  await openAddress(picture.url, picture.name.split("/").at(-1) ?? picture.name);
}

/** Take a picture as an input: of the node given, of the only node that takes one, or of a new node. */
export async function useAsInput(picture: Shown, target?: PictureInput, at?: { readonly x: number; readonly y: number }): Promise<void> {
  const places = pictureInputs();
  const chosen = target ?? (places.length === 1 && at === undefined ? places[0]!.target : undefined);
  const value = await copyToInputs(picture);
  if (chosen !== undefined) setPicture(chosen, value, t("step.picture", "Another picture"));
  else addNode("LoadImage", at, undefined, { image: value });
  say(t("picture.used", "{name} is an input now", { name: picture.name }));
}

export async function copyText(text: string): Promise<void> {
  await navigator.clipboard?.writeText(text).catch(() => undefined);
  say(t("picture.copied", "Copied: {text}", { text: text.length > 80 ? `${text.slice(0, 80)}…` : text }));
}

/** Put files into the trash; `after` is called when something went or came back, `told` with the key to it. */
export async function discard(
  files: readonly { readonly filename: string; readonly subfolder: string }[],
  after: () => void,
  told: (key: string, count: number) => void = () => undefined,
): Promise<void> {
  const { trash, deleted } = await deletePictures(files.map(({ filename, subfolder }) => ({ filename, subfolder })));
  told(trash, deleted.length);
  after();
  const back = (): void => void restorePictures(trash).then(after, sayError);
  say(t("gallery.deleted", "{count} in the trash", { count: deleted.length }), "note", "", { label: t("gallery.back", "Bring back"), run: back });
}

/** The file below the output folder that an address names; undefined for pictures that lie elsewhere. */
export function outputFile(url: string): { readonly filename: string; readonly subfolder: string } | undefined {
  const query = new URLSearchParams(url.split("?")[1] ?? "");
  const filename = query.get("filename");
  if (!url.startsWith("/view?") || filename === null || (query.get("type") ?? "output") !== "output") return undefined;
  return { filename, subfolder: query.get("subfolder") ?? "" };
}
