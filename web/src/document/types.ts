/**
 * The document that the editor edits: an API prompt plus a view of it.
 *
 * Everything here is immutable data. Records are replaced, never changed, so a component can compare by identity.
 * What a file held and we do not interpret is kept in `extra` of the thing it belonged to and written back as it came.
 */

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Ids are strings inside the editor; a file's numeric ids are written back as numbers. */
export type NodeId = string;
export type LinkId = string;
export type GroupId = string;
/** "" is the workflow itself, everything else is the id of a subgraph definition. */
export type GraphId = string;

export const ROOT: GraphId = "";
/** The two borders inside a subgraph definition: links from INPUTS carry what comes in, links to OUTPUTS what goes out. */
export const INPUTS: NodeId = "-10";
export const OUTPUTS: NodeId = "-20";

/** What becomes of a node when the workflow runs. */
export type Mode = "always" | "mute" | "bypass";

export interface Slot {
  readonly name: string;
  /** Socket type as in `/object_info`: "MODEL", "IMAGE,MASK", "*"… */
  readonly type: string;
  readonly label?: string;
  /** Set when the slot stands for a widget: the widget's name. */
  readonly widget?: string;
  readonly extra?: JsonObject;
}

export interface GraphNode {
  readonly id: NodeId;
  /** A node type of the server, the id of a subgraph definition, or one the server does not have. */
  readonly type: string;
  readonly mode: Mode;
  /** Literal values of widgets by input name. A linked widget keeps its last value here. */
  readonly values: Readonly<Record<string, Json>>;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  /** Top left corner and size in graph units (100 % zoom: CSS pixels). Height null: as its content needs. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number | null;
  readonly title?: string;
  readonly collapsed?: boolean;
  readonly pinned?: boolean;
  readonly color?: string;
  readonly extra?: JsonObject;
}

export interface Link {
  readonly id: LinkId;
  readonly from: NodeId;
  readonly output: number;
  readonly to: NodeId;
  readonly input: number;
  readonly type: string;
  /** Points the link runs through, from source to target, in graph units (the ecosystem's native reroutes). */
  readonly bends?: readonly { readonly x: number; readonly y: number; readonly id: string }[];
  readonly hidden?: boolean;
  /** Shown as a pair of tags with this name instead of a line. */
  readonly portal?: string;
  readonly extra?: JsonObject;
}

export interface Group {
  readonly id: GroupId;
  readonly title: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly color?: string;
  /** Explicit: moving the group moves these. Filled by geometry when a file without membership is read. */
  readonly members: readonly NodeId[];
  readonly extra?: JsonObject;
}

/** One graph: the workflow or a subgraph definition. */
export interface Graph {
  readonly id: GraphId;
  readonly name: string;
  readonly nodes: ReadonlyMap<NodeId, GraphNode>;
  readonly links: ReadonlyMap<LinkId, Link>;
  readonly groups: ReadonlyMap<GroupId, Group>;
  /** A definition's interface, in order; empty for the workflow. */
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  /** Where a definition's borders stand; beside its nodes where nothing is said. */
  readonly borders?: Borders;
  readonly extra?: JsonObject;
}

export interface Borders {
  readonly inputs?: { readonly x: number; readonly y: number };
  readonly outputs?: { readonly x: number; readonly y: number };
}

/** A chosen input or output of the form view, in the order shown. */
export interface FormField {
  readonly node: NodeId;
  /** An input's name, or null for what the node puts out. */
  readonly input: string | null;
  readonly label?: string;
  readonly help?: string;
}

/** A place to come back to: the middle of a view, or a node. */
export interface Bookmark {
  readonly graph: GraphId;
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
  readonly node?: NodeId;
  /** What the user calls it; else it has the title of its node. */
  readonly name?: string;
}

export interface Workflow {
  readonly graphs: ReadonlyMap<GraphId, Graph>;
  readonly form: readonly FormField[];
  /** By the digit that leads there. */
  readonly bookmarks?: Readonly<Record<string, Bookmark>>;
  readonly extra?: JsonObject;
}

/** One widget or socket of a node type, read from `/object_info`. */
export interface InputSpec {
  readonly name: string;
  readonly type: string;
  readonly group: "required" | "optional" | "hidden";
  /** True when the value is typed or chosen in the node; false for a pure socket. */
  readonly widget: boolean;
  readonly choices?: readonly Json[];
  readonly default?: Json;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number;
  readonly multiline?: boolean;
  readonly tooltip?: string;
  /** The file's options as they came (`control_after_generate`, `image_upload`, `dynamicPrompts`…). */
  readonly options: JsonObject;
}

export interface NodeSpec {
  readonly type: string;
  readonly title: string;
  readonly category: string;
  readonly description: string;
  readonly inputs: readonly InputSpec[];
  readonly outputs: readonly { readonly name: string; readonly type: string; readonly list: boolean; readonly tooltip?: string }[];
  readonly isOutput: boolean;
  readonly deprecated: boolean;
  readonly experimental: boolean;
}

/** Node types by id. */
export type Specs = ReadonlyMap<string, NodeSpec>;

/** What changed with one applied command, so that views redraw only that. */
export interface Change {
  readonly graph: GraphId;
  readonly nodes: ReadonlySet<NodeId>;
  readonly links: ReadonlySet<LinkId>;
  readonly groups: ReadonlySet<GroupId>;
  /** True when nodes, links, groups or definitions came or went (not only moved or got another value). */
  readonly structure: boolean;
}

/**
 * A change of the document as data. `applyCommand` gives the new workflow and the command that takes it back; nothing
 * else may change a workflow. Commands are plain JSON: they are the crash journal and the history list too.
 */
export type Command =
  | { readonly do: "addNodes"; readonly graph: GraphId; readonly nodes: readonly GraphNode[]; readonly at?: Places }
  | { readonly do: "removeNodes"; readonly graph: GraphId; readonly ids: readonly NodeId[] }
  | { readonly do: "updateNode"; readonly graph: GraphId; readonly id: NodeId; readonly set: NodePatch }
  | { readonly do: "setValue"; readonly graph: GraphId; readonly id: NodeId; readonly input: string; readonly value: Json | undefined }
  | { readonly do: "moveNodes"; readonly graph: GraphId; readonly to: readonly { readonly id: NodeId; readonly x: number; readonly y: number }[] }
  | { readonly do: "addLinks"; readonly graph: GraphId; readonly links: readonly Link[]; readonly at?: Places }
  | { readonly do: "removeLinks"; readonly graph: GraphId; readonly ids: readonly LinkId[] }
  | { readonly do: "updateLink"; readonly graph: GraphId; readonly id: LinkId; readonly set: { readonly [K in "bends" | "hidden" | "portal"]?: Link[K] | undefined } }
  | { readonly do: "putGroups"; readonly graph: GraphId; readonly groups: readonly Group[]; readonly at?: Places }
  | { readonly do: "removeGroups"; readonly graph: GraphId; readonly ids: readonly GroupId[] }
  | { readonly do: "putGraph"; readonly definition: Graph; readonly at?: number }
  | { readonly do: "removeGraph"; readonly graph: GraphId }
  /** Null puts a border back beside the nodes. */
  | { readonly do: "placeBorder"; readonly graph: GraphId; readonly border: keyof Borders; readonly at: { readonly x: number; readonly y: number } | null }
  | { readonly do: "setForm"; readonly form: readonly FormField[] }
  | { readonly do: "setBookmark"; readonly digit: string; readonly to: Bookmark | null }
  | { readonly do: "several"; readonly commands: readonly Command[] };

/** Where things stand in their graph's order afterwards, ascending; at the end when left out. Inverses bring back the order too. */
export type Places = readonly number[];

/** Fields of a node that one command may replace; a key present with `undefined` takes an optional field away. */
export type NodePatch = {
  readonly [K in Exclude<keyof GraphNode, "id" | "values">]?: GraphNode[K] | undefined;
};

/** One step of the history list: what the user did, in words, and how to take it back. */
export interface HistoryStep {
  readonly label: string;
  readonly at: number;
  readonly forward: Command;
  readonly inverse: Command;
}

/**
 * Owner of one open workflow. Implemented by `document/store.ts`; the views know this interface alone.
 * `transact` groups what happens until it returns (or, with `begin`/`commit`, during a gesture) into one history step.
 */
export interface Document {
  readonly workflow: Workflow;
  /** Grows by one with every applied command. */
  readonly revision: number;
  graph(id: GraphId): Graph;
  node(graph: GraphId, id: NodeId): GraphNode | undefined;
  /** Links that touch a node, from an index: never a walk over all links. */
  linksOf(graph: GraphId, id: NodeId): { readonly in: readonly Link[]; readonly out: readonly Link[] };
  apply(command: Command, label: string): void;
  begin(label: string): void;
  commit(): void;
  cancel(): void;
  undo(): HistoryStep | undefined;
  redo(): HistoryStep | undefined;
  /** Go to a point of the history list: 0 is the document as opened. */
  goTo(position: number): void;
  readonly history: readonly HistoryStep[];
  readonly position: number;
  /** Called after every change, also of undo and redo. Returns the function that ends the subscription. */
  subscribe(listener: (change: Change) => void): () => void;
  /** As `subscribe`, for one node: what a node's component hangs on. */
  subscribeNode(graph: GraphId, id: NodeId, listener: () => void): () => void;
}
