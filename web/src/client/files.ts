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

export async function upload(file: File, subfolder = ""): Promise<{ readonly name: string; readonly subfolder: string }> {
  const body = new FormData();
  if (subfolder !== "") body.set("subfolder", subfolder);
  body.set("image", file, file.name);
  return ask("POST /upload/image", { body });
}

/** A file of the server's input, output or temporary folder. */
export interface ServerFile {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: FolderType;
  readonly kind: "image" | "video" | "audio" | "other";
  readonly size: number;
  readonly modified: number;
}
export type FolderType = "input" | "output" | "temp";
export interface FilePage {
  readonly folders: readonly string[];
  readonly files: readonly ServerFile[];
  readonly total: number;
}
export const browseFiles = (query: { readonly type: FolderType; readonly subfolder: string; readonly q: string; readonly kind: string; readonly offset: number; readonly limit: number }, signal: AbortSignal): Promise<FilePage> =>
  ask("GET /files", { query, signal });

/** The value by which an input names a file: below the input folder plainly, elsewhere with the folder's name. */
export function fileValue(file: Pick<ServerFile, "filename" | "subfolder" | "type">): string {
  const path = file.subfolder ? `${file.subfolder}/${file.filename}` : file.filename;
  return file.type === "input" ? path : `${path} [${file.type}]`;
}

export const settings = () => ask<Record<string, unknown>>("GET /settings");
export const changeSettings = (body: Record<string, unknown>) => ask("POST /settings", { body });
