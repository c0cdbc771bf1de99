import { Store } from "../client/store";
import { t } from "../i18n";

/** Whatever can be done in the editor, once: keys, menus, buttons and the palette all run these. */
export interface EditorCommand {
  readonly id: string;
  readonly title: string;
  /** Keys as people know them: `Ctrl+Enter`, `Alt+C`, `P`. The first is shown. */
  readonly keys?: readonly string[];
  run(): void | Promise<void>;
  enabled?(): boolean;
}

const commands = new Map<string, EditorCommand>();
/** Keys that the user chose instead of the ones given; an empty list takes all away. */
export const bindings = new Store<Readonly<Record<string, readonly string[]>>>({});
let onError: (error: unknown) => void = () => undefined;

export function register(...added: readonly EditorCommand[]): void {
  for (const command of added) commands.set(command.id, command);
}

export const allCommands = (): readonly EditorCommand[] => [...commands.values()];
export const isEnabled = (command: EditorCommand): boolean => command.enabled?.() ?? true;
export const keysOf = (command: EditorCommand): readonly string[] => bindings.get()[command.id] ?? command.keys ?? [];
export function reportErrorsTo(report: (error: unknown) => void): void {
  onError = report;
}

export function runCommand(id: string): void {
  const command = commands.get(id);
  if (command === undefined || !isEnabled(command)) return;
  Promise.resolve()
    .then(() => command.run())
    .catch(onError);
}

/** The text of a command's first key for a tooltip: " (Ctrl+S)", or nothing. */
export function keyHint(id: string): string {
  const command = commands.get(id);
  const key = command && keysOf(command)[0];
  return key ? ` (${shown(key)})` : "";
}

const APPLE = /Mac|iP(hone|ad)/.test(navigator.platform);
export function shown(written: string): string {
  const signs: Readonly<Record<string, string>> = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
  const key = written.replace(/Arrow\w+/, (name) => signs[name] ?? name);
  if (!APPLE) return key.replace("Ctrl", t("key.ctrl", "Ctrl")).replace("Shift", t("key.shift", "Shift"));
  return key.replace("Ctrl+", "⌘").replace("Shift+", "⇧").replace("Alt+", "⌥");
}

/** Write a key event as it is written in `keys`; undefined while only modifiers are down. */
export function keyOf(event: KeyboardEvent): string | undefined {
  if (["Control", "Shift", "Alt", "Meta", "AltGraph", "Dead"].includes(event.key)) return undefined;
  const ctrl = event.ctrlKey || event.metaKey;
  let key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  // With Alt, some layouts give another letter; the key's place says which was meant.
  if (event.altKey && /^Key[A-Z]$/.test(event.code)) key = event.code.slice(3);
  if (key === " ") key = "Space";
  const shift = event.shiftKey && (event.key.length > 1 || /[A-Z]/.test(key));
  return `${ctrl ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${key}`;
}

/** `Shift+1`, which is another sign on each layout. */
function shiftedDigit(event: KeyboardEvent): string | undefined {
  const digit = /^Digit(\d)$/.exec(event.code)?.[1];
  return digit === undefined || !event.shiftKey || event.ctrlKey || event.altKey || event.metaKey ? undefined : `Shift+${digit}`;
}

/** Keys that belong to a text field while one is edited. */
const TEXT_KEYS = /^(Ctrl\+(Alt\+)?(Shift\+)?(Z|Y|C|V|X|A|Backspace|Delete|ArrowUp|ArrowDown|ArrowLeft|ArrowRight)|(Alt\+|Shift\+)*[^+]+|\+)$/;

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "range"].includes(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** Run the command of a key event, if it has one here; `graph` says whether the graph is what is seen. */
export function handleKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const key = keyOf(event);
  if (key === undefined) return;
  if (isTyping(event.target) && TEXT_KEYS.test(key)) return;
  // A button or a menu has its own Enter, Space and arrows.
  if (/^(Enter|Space|Arrow\w+|Tab)$/.test(key) && event.target !== document.body) return;
  const digit = shiftedDigit(event);
  for (const command of commands.values()) {
    const keys = keysOf(command);
    if ((!keys.includes(key) && !(digit !== undefined && keys.includes(digit))) || !isEnabled(command)) continue;
    event.preventDefault();
    runCommand(command.id);
    return;
  }
}
