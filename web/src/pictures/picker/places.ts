/** Where a file lies that an input names, and going about among tiles with the arrow keys. */
import type { FolderType } from "../../client/files";

export function placeOf(value: string): { readonly type: FolderType; readonly subfolder: string } {
  const [, path = value, type = "input"] = /^(.*?)(?: \[(input|output|temp)\])?$/s.exec(value) ?? [];
  const at = path.lastIndexOf("/");
  return { type: type as FolderType, subfolder: at < 0 ? "" : path.slice(0, at) };
}

/** Move the focus among the tiles of a list; true when the key was one for that. */
export function step(list: HTMLElement | null, key: string): boolean {
  const tiles = [...(list?.querySelectorAll<HTMLElement>(".filetile") ?? [])];
  if (tiles.length === 0 || !/^(Arrow|Home$|End$)/.test(key)) return false;
  const at = tiles.indexOf(document.activeElement as HTMLElement);
  const columns = Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0]!.offsetTop).length);
  const by: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -tiles.length, End: tiles.length };
  tiles[Math.max(0, Math.min(tiles.length - 1, at < 0 ? 0 : at + (by[key] ?? 0)))]?.focus();
  return true;
}
