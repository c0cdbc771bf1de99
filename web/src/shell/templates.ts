import { readTemplate, templates } from "../client/files";
import { openFile } from "./opening";
import type { View } from "./workspace";

const OURS = "safelight";

/** Open one of the workflows that come with the program; `asked` is its file where somebody has asked for it already. */
export async function openTemplate(name: string, view: View, pack?: string, asked?: Promise<Blob>): Promise<void> {
  const file = await (asked ?? fetchTemplate(name, pack));
  await openFile(file, `${name}.json`, view);
}

export async function fetchTemplate(name: string, pack?: string): Promise<Blob> {
  if (pack !== undefined) return readTemplate(pack, name);
  // Whoever made another program of this may have given its examples another name.
  return readTemplate(OURS, name).catch(async () => readTemplate(Object.keys(await templates())[0] ?? OURS, name));
}
