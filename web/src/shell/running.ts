import { ask, ServerError } from "../client/http";
import { randomId } from "../client/identity";
import { interrupt, refreshQueue } from "../client/queue";
import { LiveSocket } from "../client/socket";
import { Store } from "../client/store";
import { t } from "../i18n";
import { exactText } from "../document/exact";
import type { Prompt } from "../document/prompt";
import type { Command, NodeId, Specs } from "../document/types";
import { signaturesOf } from "./checking";
import { afterRun, fileOf, promptOf } from "./documents";
import { say, sayError } from "./toasts";
import { active, specs, tabs, type Tab } from "./workspace";

interface Accepted {
  readonly prompt_id: string;
  readonly node_errors: ServerError["nodeErrors"];
}

export const socket = new LiveSocket(
  (told) => {
    if (told.type === "status" || told.type.startsWith("execution_")) refreshQueue();
    for (const tab of tabs.get()) tab.run.hear(told);
  },
  (preview) => tabs.get().forEach((tab) => tab.run.see(preview)),
);

export interface HowToRun {
  readonly count?: number;
  readonly front?: boolean;
  /** Only these outputs (ids of the API prompt) and what they need. */
  readonly only?: readonly NodeId[];
}

/** Queue the workflow of a tab, so many times; seeds and the like move on after each. */
export async function queueTab(tab: Tab, how: HowToRun = {}): Promise<void> {
  const known = specs.get();
  if (known === undefined) return;
  tab.run.clearProblems();
  for (let at = 0; at < (how.count ?? 1); at++) {
    const prompt = how.only ? withPreviews(promptOf(tab.document.workflow, known), how.only, known) : promptOf(tab.document.workflow, known);
    if (Object.keys(prompt).length === 0) {
      say(t("run.empty", "There is nothing to run yet: add a node that puts something out"), "problem");
      return;
    }
    const body = {
      prompt,
      client_id: socket.clientId,
      prompt_id: randomId(),
      extra_data: { extra_pnginfo: { workflow: fileOf(tab.document.workflow, known) }, workflow_name: tab.name.get() },
      ...(how.front ? { front: true } : {}),
      ...(how.only ? { partial_execution_targets: how.only.map((id) => (`${id}:preview` in prompt ? `${id}:preview` : id)) } : {}),
    };
    try {
      const accepted = await ask<Accepted>("POST /prompt", { body: asJson(exactText(tab.document.workflow, body)) as never });
      tab.run.queued(accepted.prompt_id, Object.keys(prompt), accepted.node_errors, signaturesOf(prompt).values());
      remember(tab, accepted.prompt_id);
    } catch (error) {
      if (!(error instanceof ServerError) || error.status === 0) throw error;
      tab.run.problems(error.nodeErrors);
      say(error.message, "problem", error.details);
      return;
    }
    const moved = afterRun(tab.document.workflow, known);
    movingOn = true;
    if (moved.length > 0) tab.document.apply({ do: "several", commands: moved } satisfies Command, t("step.seed", "Next seed"));
    movingOn = false;
  }
  refreshQueue();
}

const asJson = (text: string): Blob => new Blob([text], { type: "application/json" });

/** While on, each change of the workflow in front is run as soon as nothing else runs. */
export const autoRun = new Store(false);
const AUTO_MS = 500;

export function followForAutoRun(tab: Tab): void {
  let planned: ReturnType<typeof setTimeout> | undefined;
  const queue = (): void => {
    const { phase } = tab.run.summary.get();
    if (!autoRun.get() || active.get() !== tab) return;
    if (phase === "running" || phase === "queued") plan();
    else void queueTab(tab).catch(sayError);
  };
  const plan = (): void => {
    clearTimeout(planned);
    if (autoRun.get()) planned = setTimeout(queue, AUTO_MS);
  };
  // A seed that moves on after a run is no reason for the next.
  tab.document.subscribe(() => !movingOn && plan());
}
let movingOn = false;

/** Something to look at behind nodes that put nothing out, so that a run can go up to them and no further. */
function withPreviews(prompt: Prompt, only: readonly NodeId[], known: Specs): Prompt {
  const added: Record<NodeId, Prompt[string]> = {};
  for (const id of only) {
    const spec = known.get(prompt[id]?.class_type ?? "");
    if (spec === undefined || spec.isOutput || spec.outputs.length === 0) continue;
    const _meta = { title: spec.title };
    const image = spec.outputs.findIndex((output) => output.type === "IMAGE");
    added[`${id}:preview`] =
      image >= 0 ? { class_type: "PreviewImage", inputs: { images: [id, image] }, _meta } : { class_type: "PreviewAny", inputs: { source: [id, 0] }, _meta };
  }
  return { ...prompt, ...added };
}

/** Which jobs belong to which workflow, so that a reload of the page still shows their progress in the nodes. */
function remember(tab: Tab, job: string): void {
  const kept = JSON.parse(sessionStorage.getItem("jobs") ?? "[]") as [string, string][];
  sessionStorage.setItem("jobs", JSON.stringify([...kept.slice(-40), [job, tab.key]]));
}

export function recallJobs(tab: Tab): void {
  const known = specs.get();
  const nodes = known ? Object.keys(promptOf(tab.document.workflow, known)) : [];
  const kept = JSON.parse(sessionStorage.getItem("jobs") ?? "[]") as [string, string][];
  for (const [job, key] of kept) if (key === tab.key) tab.run.recall(job, nodes);
}

export async function cancelRun(): Promise<void> {
  const id = active.get()?.run.summary.get().promptId;
  await interrupt(id);
}
