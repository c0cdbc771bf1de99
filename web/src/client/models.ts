import { ask } from "./http";
import { Store } from "./store";

export interface ModelFile {
  readonly name: string;
  readonly size: number;
  readonly pathIndex: number;
  readonly modified: number;
  /** Whether a picture lies beside it. */
  readonly preview?: boolean;
}

/** Model files by kind, as far as they were asked for. */
export const models = new Store<ReadonlyMap<string, readonly ModelFile[]>>(new Map());
const asked = new Map<string, Promise<void>>();

/** Fetch the files of one kind, once. */
export function loadModels(kind: string): Promise<void> {
  const before = asked.get(kind);
  if (before !== undefined) return before;
  const load = async (): Promise<void> => {
    const files = await ask<readonly ModelFile[]>("GET /experiment/models/{folder}", { path: { folder: kind } });
    models.update((all) => new Map(all).set(kind, files));
  };
  const begun = load();
  asked.set(kind, begun);
  begun.catch(() => asked.delete(kind));
  return begun;
}

export async function loadAllModels(): Promise<void> {
  const kinds = await ask<readonly { readonly name: string }[]>("GET /experiment/models");
  await Promise.all(kinds.map(({ name }) => loadModels(name)));
}

/** Ask anew for what was asked for: files may have come or gone. */
export async function refreshModels(): Promise<void> {
  const kinds = [...asked.keys()];
  asked.clear();
  await Promise.all(kinds.map(loadModels));
}

export function previewAddress(kind: string, file: ModelFile): string {
  const name = encodeURIComponent(file.name);
  return `/experiment/models/preview/${encodeURIComponent(kind)}/${file.pathIndex}/${name}?v=${Math.round(file.modified)}`;
}
