import { useEffect, useState } from "react";
import { claimWindow } from "../client/identity";
import { refreshQueue } from "../client/queue";
import { App } from "./App";
import { reportErrorsTo } from "./commands";
import { loadSpecs } from "./documents";
import { restore } from "./keeping";
import { loadPreferences } from "./preferences";
import { recallJobs, socket } from "./running";
import { openTemplate } from "./templates";
import { sayError } from "./toasts";
import { tabs } from "./workspace";

let started: Promise<void> | undefined;

/** What has to be there before anything can be shown: node types, and what was open the last time. */
async function start(): Promise<void> {
  reportErrorsTo(sayError);
  await Promise.all([loadSpecs(), loadPreferences().catch(() => undefined)]);
  const id = await claimWindow();
  const restored = await restore(id);
  // A newcomer meets a form that works, over the model that ships.
  if (restored === 0) await openTemplate("text_to_image", "form").catch(sayError);
  for (const tab of tabs.get()) recallJobs(tab);
  socket.start(id);
  socket.connection.subscribe(refreshQueue);
  refreshQueue();
}

export function Start() {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    started ??= retry();
    void started.then(() => setReady(true));
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
