/** Opening files of all kinds: dropped, chosen, from the gallery. */
import { t } from "../i18n";
import { upload } from "../client/files";
import { EDITOR_ONLY } from "./checking";
import { openBlob } from "./documents";
import { keep } from "./keeping";
import { say, sayError } from "./toasts";
import { openTab, specs } from "./workspace";

export const TAKEN = ".json,.png,.webp,.jpg,.jpeg,.avif,.mp4,.webm,.latent,.safetensors";

export async function openFile(file: Blob, name: string, view?: "form" | "graph"): Promise<void> {
  const workflow = await openBlob(file);
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
