/** The description that an extension brings, `extension.json`: read with care, since a pack wrote it. */

export const API_VERSION = 1;

export type Permission = "read" | "edit";
export interface PanelFacts {
  readonly id: string;
  readonly title: string;
  /** A page of the pack, shown in a frame. */
  readonly page: string;
}
export type Action = { readonly addNode: string; readonly values: Readonly<Record<string, string | number | boolean>> } | { readonly openPanel: string };
export interface CommandFacts {
  readonly id: string;
  readonly title: string;
  readonly keys: readonly string[];
  readonly action: Action;
}
export type WidgetKind = "slider" | "colour" | "multiline";
export interface WidgetFacts {
  readonly node: string;
  readonly input: string;
  readonly as: WidgetKind;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number;
}
export interface Manifest {
  readonly title: string;
  readonly may: ReadonlySet<Permission>;
  readonly panels: readonly PanelFacts[];
  readonly commands: readonly CommandFacts[];
  readonly widgets: readonly WidgetFacts[];
}

export class ManifestError extends Error {}

const ID = /^[a-z][a-z0-9_-]{0,39}$/;
const PAGE = /^(?:[\w-]+\/)*[\w-]+\.html$/;
const MOST = 32;
const LONGEST = 80;
const KINDS: readonly WidgetKind[] = ["slider", "colour", "multiline"];

type Plain = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Plain => typeof value === "object" && value !== null && !Array.isArray(value);

function need<T>(value: T | undefined | false, what: string): T {
  if (value === undefined || value === false) throw new ManifestError(what);
  return value;
}
const textAt = (from: Plain, name: string, where: string): string => {
  const value = from[name];
  return need(typeof value === "string" && value !== "" && value.length <= LONGEST && value, `${where}: “${name}” has to be a text of at most ${LONGEST} letters`);
};
const idAt = (from: Plain, where: string): string => need(typeof from.id === "string" && ID.test(from.id) && from.id, `${where}: “id” has to be small letters, digits, - and _`);
const listAt = (from: Plain, name: string): readonly Plain[] => {
  const value = from[name] ?? [];
  need(Array.isArray(value) && value.length <= MOST && value.every(isObject), `“${name}” has to be a list of at most ${MOST} objects`);
  return value as readonly Plain[];
};

/** Read a manifest. Raises `ManifestError` that says what is wrong with it. */
export function readManifest(value: unknown): Manifest {
  if (!isObject(value)) throw new ManifestError("the manifest has to be an object");
  if (value.api !== API_VERSION) throw new ManifestError(`it is made for version ${String(value.api)} of the API; this editor has version ${API_VERSION}`);
  const may = value.may ?? [];
  need(Array.isArray(may) && may.every((one) => one === "read" || one === "edit"), "“may” has to be a list of “read” and “edit”");
  const panels = listAt(value, "panels").map((one, at): PanelFacts => {
    const where = `panel ${at + 1}`;
    return { id: idAt(one, where), title: textAt(one, "title", where), page: need(typeof one.page === "string" && PAGE.test(one.page) && one.page, `${where}: “page” has to be an .html file of the pack`) };
  });
  const commands = listAt(value, "commands").map((one, at): CommandFacts => {
    const where = `command ${at + 1}`;
    const keys = one.keys ?? [];
    need(Array.isArray(keys) && keys.length <= 3 && keys.every((key) => typeof key === "string" && key.length < 40), `${where}: “keys” has to be a list of keys`);
    return { id: idAt(one, where), title: textAt(one, "title", where), keys: keys as readonly string[], action: actionOf(one, where, panels) };
  });
  const widgets = listAt(value, "widgets").map((one, at): WidgetFacts => {
    const where = `widget ${at + 1}`;
    const as = need(KINDS.find((kind) => kind === one.as), `${where}: “as” has to be one of ${KINDS.join(", ")}`);
    const numbers = Object.fromEntries(["min", "max", "step"].flatMap((name) => (Number.isFinite(one[name]) ? [[name, one[name] as number]] : [])));
    return { node: textAt(one, "node", where), input: textAt(one, "input", where), as, ...numbers };
  });
  return { title: textAt(value, "title", "the manifest"), may: new Set(may as Permission[]), panels, commands, widgets };
}

function actionOf(command: Plain, where: string, panels: readonly PanelFacts[]): Action {
  if (typeof command.openPanel === "string") {
    const id = command.openPanel;
    return { openPanel: need(panels.some((panel) => panel.id === id) && id, `${where}: there is no panel “${id}”`) };
  }
  const values = command.values ?? {};
  need(isObject(values) && Object.values(values).every(isPlainValue), `${where}: “values” has to hold texts, numbers and yes or no`);
  return { addNode: textAt(command, "addNode", where), values: values as Record<string, string | number | boolean> };
}

export const isPlainValue = (value: unknown): value is string | number | boolean =>
  typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value)) || (typeof value === "string" && value.length <= 100_000);
