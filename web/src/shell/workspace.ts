import { createSelection, type Selection } from "../canvas/selection";
import { randomId } from "../client/identity";
import { RunState } from "../client/runs";
import { Store } from "../client/store";
import { createDocument } from "../document/store";
import { ROOT, type Document, type GraphId, type HistoryStep, type NodeId, type Specs, type Workflow } from "../document/types";

export type View = "form" | "graph";
/** Where in the subgraphs the graph on screen is: the subgraph nodes entered, outermost first. */
export interface Place {
  readonly graph: GraphId;
  readonly nodes: readonly { readonly id: NodeId; readonly graph: GraphId; readonly name: string }[];
}
export const TOP: Place = { graph: ROOT, nodes: [] };

/** A point of a history. The step tells it from one at the same place: typing goes on within a step. */
export interface SavedAt {
  readonly position: number;
  readonly step: HistoryStep | undefined;
}
export const here = (document: Document): SavedAt => ({ position: document.position, step: document.history[document.position - 1] });

/** One open workflow. */
export interface Tab {
  readonly key: string;
  readonly document: Document;
  readonly run: RunState;
  readonly selection: Selection;
  readonly name: Store<string>;
  /** The file on the server, below the user's workflows; null for one that was never saved. */
  readonly path: Store<string | null>;
  /** Where in its history the document was when it was last saved; undefined when it never was as it is. */
  readonly saved: Store<SavedAt | undefined>;
  readonly view: Store<View>;
  readonly place: Store<Place>;
}

export const tabs = new Store<readonly Tab[]>([]);
export const active = new Store<Tab | undefined>(undefined);
export const specs = new Store<Specs | undefined>(undefined);

export interface TabFacts {
  readonly name: string;
  readonly path?: string | null;
  readonly view?: View;
  readonly saved?: boolean;
  readonly key?: string;
}

export function openTab(workflow: Workflow, facts: TabFacts): Tab {
  const tab = makeTab(workflow, facts);
  tabs.update((all) => [...all, tab]);
  active.set(tab);
  return tab;
}

/** Put another document in a tab's place. */
export function replaceTab(old: Tab, workflow: Workflow, facts: TabFacts): Tab {
  const tab = makeTab(workflow, facts);
  tabs.update((all) => all.map((one) => (one === old ? tab : one)));
  if (active.get() === old) active.set(tab);
  return tab;
}

function makeTab(workflow: Workflow, facts: TabFacts): Tab {
  return {
    key: facts.key ?? randomId(),
    document: createDocument(workflow),
    run: new RunState(),
    selection: createSelection(),
    name: new Store(facts.name),
    path: new Store<string | null>(facts.path ?? null),
    saved: new Store<SavedAt | undefined>((facts.saved ?? true) ? { position: 0, step: undefined } : undefined),
    view: new Store<View>(facts.view ?? "graph"),
    place: new Store(TOP),
  };
}

export function dropTab(tab: Tab): void {
  const all = tabs.get();
  const at = all.indexOf(tab);
  const rest = all.filter((one) => one !== tab);
  tabs.set(rest);
  if (active.get() === tab) active.set(rest[Math.min(at, rest.length - 1)]);
}

/** Whether a tab has what is in no file. */
export function isUnsaved(tab: Tab): boolean {
  const saved = tab.saved.get();
  const now = here(tab.document);
  return saved?.position !== now.position || saved.step !== now.step;
}

/** Ids in the API prompt of the graph on screen begin with this. */
export const prefixOf = (place: Place): string => place.nodes.map((node) => `${node.id}:`).join("");
