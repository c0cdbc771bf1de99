/** Opening files of all kinds: dropped, chosen, from the gallery. */
import { t } from "../i18n";
import { upload } from "../client/files";
import { Store } from "../client/store";
import { openFile as readDocument } from "../document/files";
import type { Workflow } from "../document/types";
import { EDITOR_ONLY } from "./checking";
import { keep } from "./keeping";
import { say, sayError } from "./toasts";
import { openTab, specs } from "./workspace";

export const TAKEN = ".json,.png,.webp,.jpg,.jpeg,.avif,.mp4,.webm,.latent,.safetensors";

/** A file that is being read for longer than one notices. */
export interface Opening {
  readonly name: string;
  /** How far it is, from 0 to 1. */
  readonly part: number;
  cancel(): void;
}
export const opening = new Store<Opening | undefined>(undefined);
const UNNOTICED_MS = 150;

/** Reads a file; when that takes a while it is shown and can be ended, which gives nothing. */
async function read(file: Blob, name: string): Promise<Workflow | undefined> {
  const ending = new AbortController();
  const { signal } = ending;
  let part = 0;
  let mine: Opening | undefined;
  const tell = (): void => opening.set((mine = { name, part, cancel: () => ending.abort() }));
  const timer = setTimeout(() => {
    void import("./OpeningBar").then(({ mountOpening }) => mountOpening());
    tell();
  }, UNNOTICED_MS);
  const progress = (now: number): void => {
    // A percent more is what can be seen.
    const more = now - part >= 0.01;
    if (more) part = now;
    if (more && mine !== undefined) tell();
  };
  try {
    return await readDocument(await file.arrayBuffer(), specs.get() ?? new Map(), { signal, progress });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
    if (opening.get() === mine) opening.set(undefined);
  }
}

export async function openFile(file: Blob, name: string, view?: "form" | "graph"): Promise<void> {
  const workflow = await read(file, name);
  if (workflow === undefined) return;
  const shown = name.replace(/\.[^.]+$/, "").replace(/_\d{5}_$/, "");
  await keep(openTab(workflow, { name: shown, saved: true, view: view ?? (workflow.form.length > 0 ? "form" : "graph") }));
  const known = specs.get();
  const types = new Set([...workflow.graphs.values()].flatMap((graph) => [...graph.nodes.values()].map((node) => node.type)));
  const missing = known ? [...types].filter((type) => !known.has(type) && !workflow.graphs.has(type) && !EDITOR_ONLY.has(type)) : [];
  if (missing.length > 0) say(t("open.missing", "Not installed here: {names}. Everything else works, and nothing is lost on saving.", { names: missing.join(", ") }), "problem");
}

/** Open what files hold; a picture without a workflow becomes an input. */
export async function openFiles(files: readonly File[]): Promise<void> {
  for (const file of files) {
    try {
      await openFile(file, file.name);
    } catch (error) {
      if (file.type.startsWith("image/")) {
        const stored = await upload(file);
        say(t("open.uploaded", "{name} has no workflow in it; it is among the inputs now", { name: stored.name }));
      } else sayError(error);
    }
  }
}

export async function openAddress(url: string, name: string): Promise<void> {
  try {
    await openFile(await (await fetch(url)).blob(), name);
  } catch (error) {
    sayError(error);
  }
}

export function chooseFiles(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.accept = TAKEN;
  input.onchange = () => void openFiles([...(input.files ?? [])]);
  input.click();
}

export function downloadText(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
