import { ask, fetchBlob } from "./http";

export interface StoredFile {
  readonly path: string;
  readonly size: number;
  readonly modified: number;
}
const FOLDER = "workflows";

/** The user's workflows on the server, by path below their folder, without the ending. */
export async function savedWorkflows(): Promise<readonly StoredFile[]> {
  try {
    const found = await ask<StoredFile[]>("GET /userdata", { query: { dir: FOLDER, recurse: true, full_info: true } });
    return found.filter((file) => file.path.endsWith(".json"));
  } catch {
    return []; // nothing was ever saved
  }
}

export const readWorkflow = (path: string) => fetchBlob("GET /userdata/{file}", { path: { file: `${FOLDER}/${path}` } });

/** Write a workflow and give its facts; `replace: false` refuses (409) to write over one. */
export function writeWorkflow(path: string, text: string, replace: boolean): Promise<StoredFile> {
  const body = new Blob([text], { type: "application/json" });
  return ask("POST /userdata/{file}", { path: { file: `${FOLDER}/${path}` }, query: { overwrite: replace, full_info: true }, body });
}

/** When a workflow was last written; undefined when it is not there. */
export async function writtenAt(path: string): Promise<number | undefined> {
  return (await savedWorkflows()).find((file) => file.path === path)?.modified;
}

export const removeWorkflow = (path: string) => ask("DELETE /userdata/{file}", { path: { file: `${FOLDER}/${path}` } });

export const moveWorkflow = (from: string, to: string) =>
  ask("POST /userdata/{file}/move/{dest}", {
    path: { file: `${FOLDER}/${from}`, dest: `${FOLDER}/${to}` },
    query: { overwrite: false },
  });

/** Names of the workflows that come with the program and its packs, by who brings them. */
export const templates = () => ask<Readonly<Record<string, readonly string[]>>>("GET /workflow_templates");
export const readTemplate = (pack: string, name: string) =>
  fetchBlob("GET /workflow_templates/{pack}/{name}", { path: { pack, name: `${name}.json` } });

/** Names below the output folder, the newest first. */
export async function outputs(): Promise<readonly string[]> {
  const found = await ask<readonly string[]>("GET /internal/files/{directory_type}", { path: { directory_type: "output" } });
  return found.filter((name) => /\.(png|webp|jpe?g|gif)$/i.test(name));
}

export async function upload(file: File): Promise<{ readonly name: string; readonly subfolder: string }> {
  const body = new FormData();
  body.set("image", file, file.name);
  return ask("POST /upload/image", { body });
}

export const settings = () => ask<Record<string, unknown>>("GET /settings");
export const changeSettings = (body: Record<string, unknown>) => ask("POST /settings", { body });
