/** Keeping work: the journal of every open workflow in the browser, saving to the server, and what is restored. */
import { ServerError } from "../client/http";
import { readWorkflow, writeWorkflow, writtenAt } from "../client/files";
import { keepDraft } from "../client/versions";
import { openWindows } from "../client/identity";
import { Store } from "../client/store";
import { commandFromText, commandToText } from "../document/journal";
import type { Command, HistoryStep, Workflow } from "../document/types";
import { t } from "../i18n";
import { watch } from "./checking";
import { openBlob, textOf } from "./documents";
import { addStep, dropJournal, putBase, type readJournal } from "./journal";
import { preference } from "./preferences";
import { say, sayError } from "./toasts";
import { compared } from "./versions/compared";
import { active, dropTab, here, isUnsaved, openTab, replaceTab, specs, tabs, type Tab } from "./workspace";

const FLUSH_MS = 60;
const AUTOSAVE_MS = 3000;
const LONGEST_LOG = 400;

interface Log {
  position: number;
  last: HistoryStep | undefined;
  revision: number;
  count: number;
  flush: ReturnType<typeof setTimeout> | undefined;
  save: ReturnType<typeof setTimeout> | undefined;
}
const logs = new Map<string, Log>();
/** When each tab's file was written as far as this window knows. */
const versions = new Map<string, number>();
/** What each tab's file holds as far as this window knows: what two versions that grew apart have in common. */
const bases = new Map<string, Workflow>();
const others = new BroadcastChannel("safelight-saved");
let windowId = "";
export const savedAt = new Store<number>(0);

/** Begin to keep a tab: whatever is done in it from now on is in the journal. */
export async function keep(tab: Tab): Promise<void> {
  const log: Log = { position: tab.document.position, last: undefined, revision: tab.document.revision, count: 0, flush: undefined, save: undefined };
  logs.set(tab.key, log);
  watch(tab);
  tab.document.subscribe(() => {
    log.flush ??= setTimeout(() => void flush(tab, log), FLUSH_MS);
    clearTimeout(log.save);
    log.save = setTimeout(() => void autosave(tab), AUTOSAVE_MS);
  });
  for (const store of [tab.path, tab.view, tab.name]) store.subscribe(() => void rebase(tab).catch(() => undefined));
  await rebase(tab).catch(() => undefined); // a browser that keeps nothing (a private window) still edits
}

async function rebase(tab: Tab): Promise<void> {
  const known = specs.get();
  const log = logs.get(tab.key);
  if (known === undefined || log === undefined) return;
  log.position = tab.document.position;
  log.last = tab.document.history[log.position - 1];
  log.revision = tab.document.revision;
  log.count = 0;
  await putBase({
    key: tab.key,
    owner: windowId,
    name: tab.name.get(),
    path: tab.path.get(),
    text: textOf(tab.document.workflow, known),
    saved: !isUnsaved(tab),
    view: tab.view.get(),
    at: tabs.get().indexOf(tab),
  });
}

/** Write what was done since the last time. A gesture that still goes on is written when it has ended. */
async function flush(tab: Tab, log: Log): Promise<void> {
  log.flush = undefined;
  const { history, position, revision } = tab.document;
  if (revision === log.revision) return;
  const done: Command[] = [];
  if (position < log.position) for (let at = log.position; at > position; at--) pushIf(done, history[at - 1]?.inverse);
  else if (position > log.position) for (let at = log.position; at < position; at++) pushIf(done, history[at]?.forward);
  else if (history[position - 1] !== log.last) pushIf(done, history[position - 1]?.forward);
  if (done.length === 0) {
    log.flush = setTimeout(() => void flush(tab, log), FLUSH_MS * 4);
    return;
  }
  log.position = position;
  log.last = history[position - 1];
  log.revision = revision;
  try {
    if (log.count + done.length > LONGEST_LOG) return await rebase(tab);
    for (const command of done) await addStep(tab.key, log.count++, commandToText(command));
  } catch {
    // Without a journal there is still the server.
  }
}

function pushIf(list: Command[], command: Command | undefined): void {
  if (command !== undefined) list.push(command);
}

async function autosave(tab: Tab): Promise<void> {
  const path = tab.path.get();
  const known = specs.get();
  if (path === null || known === undefined || !isUnsaved(tab)) return;
  try {
    if (preference("autosave").get()) await save(tab);
    // Whoever saves by hand has what was in between as drafts all the same.
    else await keepDraft(path, textOf(tab.document.workflow, known));
  } catch (error) {
    sayError(error);
  }
}

/**
 * Save a tab to the server under `path` (its own without one). Refuses to write over another file, and over what another
 * window has saved meanwhile unless `over` is said.
 */
export function save(tab: Tab, path = tab.path.get(), over = false): Promise<boolean> {
  const write = () => writeTab(tab, path, over);
  // Windows of one browser look and write in turn; what comes between the two would be written over.
  return path !== null && "locks" in navigator ? navigator.locks.request(`save ${path}`, write) : write();
}

async function writeTab(tab: Tab, path: string | null, over: boolean): Promise<boolean> {
  const known = specs.get();
  if (path === null || known === undefined) return false;
  const at = here(tab.document);
  const { workflow } = tab.document;
  const own = path === tab.path.get();
  const seen = versions.get(tab.key);
  if (own && !over && seen !== undefined && ((await writtenAt(path)) ?? seen) !== seen) {
    changedElsewhere(tab);
    return false;
  }
  try {
    const stored = await writeWorkflow(path, textOf(workflow, known), own);
    versions.set(tab.key, stored.modified);
    bases.set(tab.key, workflow);
    others.postMessage(path);
  } catch (error) {
    if (error instanceof ServerError && error.status === 409) {
      say(t("save.exists", "There is a workflow of that name already; choose another"), "problem");
      return false;
    }
    throw error;
  }
  tab.saved.set(at);
  tab.name.set(path.replace(/^.*\//, "").replace(/\.json$/, ""));
  tab.path.set(path);
  savedAt.set(Date.now());
  await rebase(tab).catch(() => undefined);
  return true;
}

export async function openSaved(path: string): Promise<void> {
  const open = tabs.get().find((tab) => tab.path.get() === path);
  if (open) return active.set(open);
  const name = path.replace(/^.*\//, "").replace(/\.json$/, "");
  const [blob, version] = await Promise.all([readWorkflow(path), writtenAt(path)]);
  const workflow = await openBlob(blob);
  const tab = openTab(workflow, { name, path, view: workflow.form.length > 0 ? "form" : "graph" });
  if (version !== undefined) versions.set(tab.key, version);
  bases.set(tab.key, workflow);
  await keep(tab);
}

function changedElsewhere(tab: Tab): void {
  const name = tab.name.get();
  const base = bases.get(tab.key);
  const compare = (): void => compared.set({ tab, before: "file", after: "here", conflict: true, ...(base ? { base } : {}) });
  say(
    t("save.elsewhere", "{name} was changed elsewhere; it is not written over", { name }),
    "problem",
    "",
    { label: t("versions.short", "Compare"), run: compare },
    { label: t("save.over", "Save mine"), run: () => void save(tab, tab.path.get(), true).catch(sayError) },
  );
}

/** Look whether the file of the workflow in front was written by somebody else since, e.g. in an editor of text. */
async function lookAgain(): Promise<void> {
  const tab = active.get();
  const path = tab?.path.get();
  const seen = tab && versions.get(tab.key);
  if (tab === undefined || path == null || seen === undefined) return;
  const now = await writtenAt(path);
  if (now !== undefined && now !== versions.get(tab.key) && seen === versions.get(tab.key)) await follow(path);
}

/** Another window saved a file that is open here: follow it, or say so where there are changes of our own. */
async function follow(path: string): Promise<void> {
  for (const tab of tabs.get().filter((one) => one.path.get() === path)) {
    if (isUnsaved(tab)) changedElsewhere(tab);
    else {
      const facts = { name: tab.name.get(), path, view: tab.view.get(), key: tab.key };
      const [blob, version] = await Promise.all([readWorkflow(path), writtenAt(path)]);
      const fresh = await openBlob(blob);
      if (isUnsaved(tab)) return changedElsewhere(tab);
      logs.delete(tab.key);
      const made = replaceTab(tab, fresh, facts);
      if (version !== undefined) versions.set(tab.key, version);
      bases.set(tab.key, fresh);
      await keep(made);
    }
  }
}

export function closeTab(tab: Tab): void {
  const text = specs.get() ? textOf(tab.document.workflow, specs.get()!) : "";
  const facts = { name: tab.name.get(), path: tab.path.get(), view: tab.view.get(), saved: !isUnsaved(tab) };
  logs.delete(tab.key);
  void dropJournal(tab.key).catch(() => undefined);
  dropTab(tab);
  if (facts.saved || text === "") return;
  say(t("tab.closed", "{name} was closed with changes that are in no file", { name: facts.name }), "note", "", {
    label: t("tab.reopen", "Open again"),
    run: () => void openBlob(new Blob([text])).then((workflow) => keep(openTab(workflow, facts))),
  });
}

/** Say which window this is, and begin to look for what others write. */
export function keepFor(window: string): void {
  windowId = window;
  self.addEventListener("focus", () => void lookAgain().catch(() => undefined));
  others.onmessage = ({ data }) => void follow(String(data)).catch(sayError);
}

/** Open again what was open in this window, or in one that is gone, when the page was left or fell. Says how many came back. */
export async function restore(entries: Awaited<ReturnType<typeof readJournal>>): Promise<number> {
  let count = 0;
  const open = await openWindows();
  for (const entry of entries) {
    if (entry.owner !== windowId && open?.has(entry.owner)) continue;
    try {
      const workflow = await openBlob(new Blob([entry.text]));
      const unsaved = entry.commands.length > 0 || !entry.saved;
      const tab = openTab(workflow, { ...entry, saved: !unsaved });
      for (const command of entry.commands) tab.document.apply(commandFromText(command), t("step.restored", "Restored"));
      const version = entry.path === null ? undefined : await writtenAt(entry.path);
      if (version !== undefined) versions.set(tab.key, version);
      if (!unsaved) bases.set(tab.key, workflow);
      await keep(tab);
      count += 1;
    } catch (error) {
      sayError(error);
    }
  }
  return count;
}
