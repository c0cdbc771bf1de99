/** Opens the comparison of two versions; the screen itself is fetched when it is first needed. */
import { Store } from "../../client/store";
import { readWorkflow } from "../../client/files";
import { readVersion } from "../../client/versions";
import type { Workflow } from "../../document/types";
import { t } from "../../i18n";
import { openBlob } from "../documents";
import { save } from "../keeping";
import { say } from "../toasts";
import type { Tab } from "../workspace";
import { commandTo } from "./diff";

/** One of the two sides: a version by its id, the file as it is on the server, or what is open here. */
export type Side = { readonly version: string } | "file" | "here";
export interface Compared {
  readonly tab: Tab;
  readonly before: Side;
  readonly after: Side;
  /** Somebody else wrote the file: one of the two has to be chosen. */
  readonly conflict?: boolean;
}
export const compared = new Store<Compared | undefined>(undefined);

export async function workflowOf(tab: Tab, side: Side): Promise<Workflow> {
  if (side === "here") return tab.document.workflow;
  const path = tab.path.get() ?? "";
  return openBlob(side === "file" ? await readWorkflow(path) : await readVersion(path, side.version));
}

/** Make the open workflow what a version was; a step as any other, so undo brings back what was there. */
export async function takeVersion(tab: Tab, side: Side): Promise<void> {
  const wanted = await workflowOf(tab, side);
  tab.selection.set({});
  tab.document.apply(commandTo(tab.document.workflow, wanted), side === "file" ? t("step.theirs", "Take the other version") : t("step.restore", "Restore a version"));
  if (tab.path.get() !== null) await save(tab, tab.path.get(), true);
  say(t("version.restored", "The version is back; undo returns to what was here"));
}
