/** What is done with the two versions that are compared. */
import { readWorkflow } from "../../client/files";
import { readVersion } from "../../client/versions";
import type { Workflow } from "../../document/types";
import { t } from "../../i18n";
import { openBlob, textOf } from "../documents";
import { save } from "../keeping";
import { say } from "../toasts";
import { specs, type Tab } from "../workspace";
import type { Side } from "./compared";
import { commandTo } from "./diff";

export async function workflowOf(tab: Tab, side: Side): Promise<Workflow> {
  if (side === "here") return tab.document.workflow;
  const path = tab.path.get() ?? "";
  return openBlob(side === "file" ? await readWorkflow(path) : await readVersion(path, side.version));
}

/** A workflow as it comes back from its file. */
export const asFile = (workflow: Workflow): Promise<Workflow> => openBlob(new Blob([textOf(workflow, specs.get() ?? new Map())]));

/** Put what was merged or taken into the open workflow, as one step. */
export async function takeMerged(tab: Tab, wanted: Workflow, label: string, store = false): Promise<void> {
  tab.document.apply(commandTo(tab.document.workflow, wanted), label);
  if (store && tab.path.get() !== null) await save(tab, tab.path.get(), true);
}

/** Make the open workflow what a version was; a step as any other, so undo brings back what was there. */
export async function takeVersion(tab: Tab, side: Side): Promise<void> {
  const wanted = await workflowOf(tab, side);
  tab.selection.set({});
  tab.document.apply(commandTo(tab.document.workflow, wanted), side === "file" ? t("step.theirs", "Take the other version") : t("step.restore", "Restore a version"));
  if (tab.path.get() !== null) await save(tab, tab.path.get(), true);
  say(t("version.restored", "The version is back; undo returns to what was here"));
}
