import { ask, fetchBlob } from "./http";

export interface Version {
  readonly id: string;
  readonly kind: "save" | "autosave" | "restore" | "found";
  /** Milliseconds. */
  readonly saved: number;
  readonly size: number;
  readonly digest: string;
}
const fileOf = (path: string): string => `workflows/${path}`;

/** Versions of a saved workflow, the newest first. */
export async function versionsOf(path: string): Promise<readonly Version[]> {
  return (await ask<{ readonly versions: readonly Version[] }>("GET /versions/{file}", { path: { file: fileOf(path) } })).versions;
}

export const readVersion = (path: string, id: string): Promise<Blob> => fetchBlob("GET /versions/{file}/{version}", { path: { file: fileOf(path), version: id } });

/** Keep a draft as a version; the file itself stays as it is. */
export function keepDraft(path: string, text: string): Promise<unknown> {
  const body = new Blob([text], { type: "application/json" });
  return ask("POST /versions/{file}", { path: { file: fileOf(path) }, body: body as never });
}
