import { changeSettings, settings } from "../client/files";
import { Store } from "../client/store";
import { bindings } from "./commands";
import type { NodeTemplate } from "./nodeTemplates";

export type ThemeChoice = "system" | "dark" | "light";
interface Preferences {
  theme: ThemeChoice;
  autosave: boolean;
  /** How often each node type was added: what the search offers first. */
  used: Readonly<Record<string, number>>;
  favourites: readonly string[];
  /** Nodes kept under a name. */
  templates: readonly NodeTemplate[];
  minimap: boolean;
  snap: boolean;
  /** The memory of the card that runs are planned for; "" is the one that is here. */
  vram: string;
}
const DEFAULTS: Preferences = { theme: "dark", autosave: true, used: {}, favourites: [], templates: [], minimap: true, snap: false, vram: "" };
const PREFIX = "Safelight.";
const KEYS = `${PREFIX}Keys`;

type Stores = { readonly [K in keyof Preferences]: Store<Preferences[K]> };
const stores: Stores = {
  theme: new Store<ThemeChoice>((localStorage.getItem("theme") as ThemeChoice | null) ?? DEFAULTS.theme),
  autosave: new Store(DEFAULTS.autosave),
  used: new Store(DEFAULTS.used),
  favourites: new Store(DEFAULTS.favourites),
  templates: new Store(DEFAULTS.templates),
  minimap: new Store(DEFAULTS.minimap),
  snap: new Store(DEFAULTS.snap),
  vram: new Store(DEFAULTS.vram),
};

/** How the graph is looked at just now; kept by nobody. */
export const looking = new Store({ links: true, locked: false, hand: false, focus: false });
export const look = (change: Partial<ReturnType<typeof looking.get>>): void => looking.update((before) => ({ ...before, ...change }));

export function preference<K extends keyof Preferences>(name: K): Store<Preferences[K]> {
  return stores[name] as unknown as Store<Preferences[K]>;
}

export function setPreference<K extends keyof Preferences>(name: K, value: Preferences[K]): void {
  preference(name).set(value);
  if (name === "theme") localStorage.setItem("theme", String(value)); // known before anything is drawn
  void changeSettings({ [PREFIX + name]: value }).catch(() => undefined);
}

export function setKeys(command: string, keys: readonly string[] | undefined): void {
  const { [command]: _gone, ...others } = bindings.get();
  bindings.set(keys === undefined ? others : { ...others, [command]: keys });
  void changeSettings({ [KEYS]: bindings.get() }).catch(() => undefined);
}

export function countUse(type: string): void {
  const used = preference("used").get();
  setPreference("used", { ...used, [type]: (used[type] ?? 0) + 1 });
}

/** Read what the user has set on the server; values of the wrong kind are passed over. */
export async function loadPreferences(): Promise<void> {
  const found = await settings();
  for (const name of Object.keys(DEFAULTS) as (keyof Preferences)[]) {
    const value = found[PREFIX + name];
    if (value !== undefined && value !== null && typeof value === typeof DEFAULTS[name]) (stores[name] as Store<unknown>).set(value);
  }
  const keys = found[KEYS];
  if (keys !== null && typeof keys === "object") {
    const good = Object.entries(keys).filter(([, list]) => Array.isArray(list) && list.every((key) => typeof key === "string"));
    bindings.set(Object.fromEntries(good) as Record<string, string[]>);
  }
}

/** Put the chosen theme on the page and follow the system's where that is chosen. */
export function followTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = (): void => {
    const chosen = stores.theme.get();
    document.documentElement.dataset.theme = chosen === "system" ? (dark.matches ? "dark" : "light") : chosen;
  };
  stores.theme.subscribe(show);
  dark.addEventListener("change", show);
  show();
}
