import { useEffect, useState } from "react";
import { claimWindow } from "../client/identity";
import { refreshQueue } from "../client/queue";
import { loadExtensions } from "../extensions/load";
import { App } from "./App";
import { panel } from "./Rail";
import { reportErrorsTo } from "./commands";
import { loadSpecs } from "./documents";
import { readJournal, wasHereBefore } from "./journal";
import { keepFor, openSaved, restore } from "./keeping";
import { loadPreferences } from "./preferences";
import { followForAutoRun, recallJobs, socket } from "./running";
import { fetchTemplate, openTemplate } from "./templates";
import { sayError } from "./toasts";
import { active, tabs, type Tab } from "./workspace";

let started: Promise<void> | undefined;

/** What has to be there before anything can be shown: node types, and what was open the last time. All is asked for at once. */
async function start(): Promise<void> {
  reportErrorsTo(sayError);
  const claimed = claimWindow();
  const journal = readJournal().catch(() => []);
  const newcomer = !wasHereBefore();
  const first = fetchTemplate(FIRST); // on its way already, as index.html says
  first.catch(() => undefined); // said when it is opened
  await Promise.all([loadSpecs(), loadPreferences().catch(() => undefined)]);
  const id = await claimed;
  keepFor(id);
  // A newcomer meets a form that works, over the model that ships.
  const openFirst = () => openTemplate(FIRST, "form", undefined, first).catch(sayError);
  if (newcomer) await openFirst();
  const restored = await restore(await journal);
  if (restored === 0 && !newcomer) await openFirst();
  await openLinked();
  for (const tab of tabs.get()) recallJobs(tab);
  const followed = new WeakSet<Tab>();
  const follow = (): void => {
    for (const tab of tabs.get()) {
      if (followed.has(tab)) continue;
      followed.add(tab);
      followForAutoRun(tab);
    }
  };
  tabs.subscribe(follow);
  follow();
  socket.start(id);
  socket.connection.subscribe(refreshQueue); // open or lost, there is soon a first change
  // What packs bring comes after all that is ours.
  setTimeout(() => void loadExtensions(() => panel.set("extensions")).catch(() => undefined), EXTENSIONS_MS);
}
const EXTENSIONS_MS = 300;
const FIRST = "text_to_image";

/** Begin: the server is asked before anything is drawn. */
export function begin(): void {
  started ??= retry();
}

/** `/?open=name.json`: a saved workflow as a form. */
async function openLinked(): Promise<void> {
  const wanted = new URLSearchParams(location.search).get("open");
  if (wanted === null) return;
  history.replaceState(null, "", "/");
  await openSaved(wanted).then(() => active.get()?.view.set("form"), sayError);
}

export function Start() {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    begin();
    void started?.then(() => setReady(true));
  }, []);
  return <App ready={ready} />;
}

const AGAIN_MS = 1500;

/** A server that is still starting is asked again. */
async function retry(): Promise<void> {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      sayError(error);
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}
