/** Which of the screens for pictures is open: a stack, so that leaving one leads back to where one came from. */
import { Store } from "../client/store";
import type { GraphId, NodeId } from "../document/types";

/** A picture somewhere on the server. */
export interface Shown {
  readonly url: string;
  readonly name: string;
}
/** The input of a node that names a picture of the input folder. */
export interface PictureInput {
  readonly tab: string;
  readonly graph: GraphId;
  readonly node: NodeId;
  readonly input: string;
}
export interface SheetJob {
  readonly id: string;
  /** What the swept inputs are in this job, in the order of the axes. */
  readonly values: readonly string[];
}
export interface SheetAxis {
  readonly title: string;
  readonly input: string;
  readonly values: readonly string[];
}
export type Screen =
  | { readonly kind: "viewer"; readonly pictures: readonly Shown[]; readonly at: number }
  | { readonly kind: "gallery" }
  | { readonly kind: "compare"; readonly pictures: readonly [Shown, Shown] }
  | { readonly kind: "mask"; readonly target: PictureInput }
  | { readonly kind: "crop"; readonly target: PictureInput }
  | { readonly kind: "sweep"; readonly tab: string; readonly graph: GraphId; readonly node: NodeId; readonly input?: string }
  | { readonly kind: "sheet"; readonly name: string; readonly axes: readonly SheetAxis[]; readonly jobs: readonly SheetJob[] }
  | { readonly kind: "sheets" }
  | { readonly kind: "files"; readonly current: string; readonly only: "image" | "video" | "audio" | ""; readonly done: (value: string | undefined) => void }
  | { readonly kind: "pictureSheet"; readonly pictures: readonly Shown[] };

export const screens = new Store<readonly Screen[]>([]);

export function openScreen(screen: Screen): void {
  screens.update((all) => [...all, screen]);
}
/** Another of the same kind in the place of the one that is open. */
export function replaceScreen(screen: Screen): void {
  screens.update((all) => [...all.slice(0, -1), screen]);
}
export function leaveScreen(): void {
  screens.update((all) => all.slice(0, -1));
}
export function leaveAllScreens(): void {
  screens.set([]);
}

export function showPictures(pictures: readonly Shown[], at = 0): void {
  if (pictures.length > 0) openScreen({ kind: "viewer", pictures, at });
}

/** Have a file of the server chosen; undefined where none was. */
export function chooseFile(current: string, only: "image" | "video" | "audio" | "" = "image"): Promise<string | undefined> {
  return new Promise((done) => openScreen({ kind: "files", current, only, done }));
}

/** Whether a file is one that plays, by its name. */
export { plays } from "../client/queue";

/** What is dragged when a picture is: its address and name, as JSON. */
export const PICTURE_TYPE = "application/x-safelight-picture";
