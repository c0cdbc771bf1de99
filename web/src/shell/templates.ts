import { readTemplate, templates } from "../client/files";
import { openFile } from "./opening";
import type { View } from "./workspace";

const ours = "safelight";

/** Open one of the workflows that come with the program. */
export async function openTemplate(name: string, view: View, pack?: string): Promise<void> {
  const from = pack ?? Object.keys(await templates())[0] ?? ours;
  await openFile(await readTemplate(from, name), `${name}.json`, view);
}
