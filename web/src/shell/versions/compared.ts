/** Which two versions are looked at side by side; the screen itself is fetched when it is first needed. */
import { Store } from "../../client/store";
import type { Workflow } from "../../document/types";
import type { Tab } from "../workspace";

/** One of the two sides: a version by its id, the file as it is on the server, or what is open here. */
export type Side = { readonly version: string } | "file" | "here";

export interface Compared {
  readonly tab: Tab;
  readonly before: Side;
  readonly after: Side;
  /** Somebody else wrote the file: one of the two has to be chosen. */
  readonly conflict?: boolean;
  /** What the two grew from, where that is known: they can be merged. */
  readonly base?: Workflow;
}

export const compared = new Store<Compared | undefined>(undefined);
