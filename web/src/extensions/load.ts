/** Which extensions there are: only what the server says was approved is asked for at all. */
import { ask } from "../client/http";
import { Store } from "../client/store";
import type { Specs } from "../document/types";
import { addNode } from "../shell/adding";
import { register } from "../shell/commands";
import { active, specs } from "../shell/workspace";
import { readManifest, type Manifest } from "./manifest";
import { withWidget } from "./widgets";

interface Pack {
  readonly name: string;
  readonly approved: boolean;
  readonly hint: string | null;
}
export interface Extension {
  readonly pack: string;
  readonly approved: boolean;
  readonly manifest?: Manifest;
  /** Why it is not in use. */
  readonly problem?: string;
}
export const extensions = new Store<readonly Extension[]>([]);
/** The panel of an extension that is shown: `pack/panel`. */
export const shownPanel = new Store<string | undefined>(undefined);

export async function loadExtensions(openPanels: () => void): Promise<void> {
  const { packs } = await ask<{ readonly packs: readonly Pack[] }>("GET /extensions/packs");
  const found = await Promise.all(packs.map(read));
  extensions.set(found.filter((one) => one !== undefined));
  for (const one of extensions.get()) if (one.manifest) registerCommands(one.pack, one.manifest, openPanels);
  dress();
  specs.subscribe(dress);
}

async function read(pack: Pack): Promise<Extension | undefined> {
  if (!pack.approved) return { pack: pack.name, approved: false, problem: pack.hint ?? "" };
  const answer = await fetch(`/extensions/${encodeURIComponent(pack.name)}/extension.json`);
  if (answer.status === 404) return undefined; // files for another editor
  try {
    return { pack: pack.name, approved: true, manifest: readManifest(await answer.json()) };
  } catch (error) {
    return { pack: pack.name, approved: true, problem: error instanceof Error ? error.message : String(error) };
  }
}

function registerCommands(pack: string, manifest: Manifest, openPanels: () => void): void {
  register(
    ...manifest.commands.map(({ id, title, keys, action }) => ({
      id: `extension.${pack}.${id}`,
      title: `${manifest.title}: ${title}`,
      keys,
      enabled: () => active.get() !== undefined,
      run: () => {
        if ("openPanel" in action) {
          shownPanel.set(`${pack}/${action.openPanel}`);
          openPanels();
        } else addNode(action.addNode, undefined, undefined, action.values);
      },
    })),
  );
}

const dressed = new WeakSet<Specs>();

/** Put the widgets that extensions declare into the descriptions of their nodes. */
function dress(): void {
  const known = specs.get();
  if (known === undefined || dressed.has(known)) return;
  const widgets = extensions.get().flatMap((one) => one.manifest?.widgets ?? []);
  const wanted = widgets.filter((one) => known.has(one.node));
  if (wanted.length === 0) return;
  const next = new Map(known);
  for (const one of wanted) next.set(one.node, withWidget(next.get(one.node)!, one));
  dressed.add(next);
  specs.set(next);
}
