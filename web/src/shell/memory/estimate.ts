/** What memory the workflow in front would take of a card, asked of the server's planner when changes have settled. */
import { ask, ServerError } from "../../client/http";
import { Store } from "../../client/store";
import { exactText } from "../../document/exact";
import type { NodeId } from "../../document/types";
import { t } from "../../i18n";
import { makesSomething, promptOf } from "../documents";
import { preference } from "../preferences";
import { active, specs, type Tab } from "../workspace";
import type { MemoryPlan } from "./figures";

interface Unplanned {
  readonly planned: false;
  readonly foreign?: readonly NodeId[];
  readonly packs?: readonly NodeId[];
}
/** A plan, or why there is none; `old` while a newer one is being made, `anyway` asks for one that runs nodes of packs. */
export type Estimate = { readonly plan: MemoryPlan; readonly old?: boolean } | { readonly why: string; readonly anyway?: () => void };

/** Sizes of cards that can be planned for; "" is the card that is here. */
export const CARDS = ["", "4GiB", "6GiB", "8GiB", "12GiB", "16GiB", "24GiB"] as const;
/** So long after the last change a plan is asked for; whoever types changes something more often. */
const SETTLED_MS = 1000;
/** What has just been opened is run before it is planned, as a rule: the planner does not take the processor from that. */
const OPENED_MS = 4000;

const known = new WeakMap<Tab, Store<Estimate | undefined>>();
export function estimateOf(tab: Tab): Store<Estimate | undefined> {
  const found = known.get(tab) ?? new Store<Estimate | undefined>(undefined);
  known.set(tab, found);
  return found;
}

/** Ask now and after each change that makes another prompt. Ends with what it returns. */
export function followMemory(tab: Tab): () => void {
  const estimate = estimateOf(tab);
  let planned: ReturnType<typeof setTimeout> | undefined;
  let asked: AbortController | undefined;
  let last = "";
  // Something changed since a plan was asked for: while a run goes on nothing is asked, so it is asked after it.
  let owed = true;
  const question = async (packs = false): Promise<void> => {
    const types = specs.get();
    const { phase } = tab.run.summary.get();
    if (types === undefined || active.get() !== tab || phase === "queued" || phase === "running") return;
    const vram = preference("vram").get();
    const prompt = promptOf(tab.document.workflow, types);
    const text = exactText(tab.document.workflow, { prompt, ...(vram === "" ? {} : { vram }), ...(packs && { packs }) });
    owed = false;
    if (text === last) return;
    if (!makesSomething(prompt, types)) {
      last = text;
      return estimate.set(nothing());
    }
    asked = new AbortController();
    const before = estimate.get();
    if (before && "plan" in before) estimate.set({ ...before, old: true });
    const told = await ask<MemoryPlan | Unplanned>("POST /plan", { body: new Blob([text], { type: "application/json" }) as never, signal: asked.signal });
    last = text;
    if ("planned" in told) estimate.set({ why: whyNot(told), ...(told.packs && { anyway: () => plan(0, true) }) });
    else estimate.set(told.nodes.length === 0 ? nothing() : { plan: told });
  };
  const plan = (after: number, packs = false): void => {
    clearTimeout(planned);
    asked?.abort();
    planned = setTimeout(() => void question(packs).catch((error: unknown) => estimate.set(refused(error) ?? estimate.get())), after);
  };
  const soon = (): void => {
    owed = true;
    plan(SETTLED_MS);
  };
  const ends = [tab.document.subscribe(soon), preference("vram").subscribe(soon), active.subscribe(soon), tab.run.summary.subscribe(() => owed && plan(SETTLED_MS))];
  plan(OPENED_MS);
  return () => {
    ends.forEach((end) => end());
    clearTimeout(planned);
    asked?.abort();
  };
}

const nothing = (): Estimate => ({ why: t("estimate.nothing", "No node here computes with a model") });

const whyNot = (told: Unplanned): string =>
  told.foreign
    ? t("estimate.foreign", "Not known: it has nodes of no known type")
    : told.packs
    ? t("estimate.packs", "Not known: nodes of packs would have to run for it")
    : t("estimate.fault", "Not known: a node failed as its run was rehearsed");

/** What a refusal means for what is shown; a question that was taken back changes nothing. */
function refused(error: unknown): Estimate | undefined {
  if (!(error instanceof ServerError) || error.status === 0) return undefined;
  return { why: t("estimate.refused", "Not known: {message}", { message: error.message }) };
}
