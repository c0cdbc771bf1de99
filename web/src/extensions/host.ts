/** The editor as extensions see it: the graph on screen of the workflow in front. */
import { specOf } from "../document/shown";
import type { GraphNode, InputSpec } from "../document/types";
import { t } from "../i18n";
import { addNode } from "../shell/adding";
import { looking } from "../shell/preferences";
import { say } from "../shell/toasts";
import { active, specs, type Tab } from "../shell/workspace";
import type { Host, NodeView } from "./bridge";

const TOKENS = ["--surface-0", "--surface-1", "--surface-2", "--surface-3", "--border", "--text", "--text-quiet", "--accent", "--focus"] as const;

function front(): Tab {
  const tab = active.get();
  if (tab === undefined) throw new Error("no workflow is open");
  return tab;
}

function viewOf(node: GraphNode): NodeView {
  return { id: node.id, type: node.type, title: node.title ?? specs.get()?.get(node.type)?.title ?? node.type, values: node.values };
}

function nodeOf(tab: Tab, id: string): GraphNode | undefined {
  return tab.document.node(tab.place.get().graph, id);
}

/** A value as its input takes it; raises an error that says why not. */
function checked(input: InputSpec, value: string | number | boolean): string | number | boolean {
  if (input.choices !== undefined && !input.choices.includes(value)) throw new Error(`${input.name} has no choice of that name`);
  const wanted = input.type === "INT" || input.type === "FLOAT" ? "number" : input.type === "BOOLEAN" ? "boolean" : input.type === "STRING" ? "string" : typeof value;
  if (typeof value !== wanted) throw new Error(`${input.name} takes a ${wanted}`);
  if (typeof value !== "number") return value;
  const whole = input.type === "INT" ? Math.round(value) : value;
  return Math.max(input.min ?? -Infinity, Math.min(input.max ?? Infinity, whole));
}

export function hostFor(title: string): Host {
  return {
    selection: () => [...front().selection.current.nodes],
    node: (id) => {
      const tab = front();
      const node = nodeOf(tab, id);
      return node && viewOf(node);
    },
    nodes: () => {
      const tab = front();
      return [...tab.document.graph(tab.place.get().graph).nodes.values()].map(viewOf);
    },
    setValue(id, name, value) {
      const tab = front();
      if (looking.get().locked) throw new Error("the graph is locked");
      const node = nodeOf(tab, id);
      const input = node && specOf(tab.document.workflow, node, specs.get() ?? new Map())?.inputs.find((one) => one.name === name && one.widget);
      if (input === undefined) throw new Error("there is no such input");
      tab.document.apply({ do: "setValue", graph: tab.place.get().graph, id, input: name, value: checked(input, value) }, t("step.extension", "{name}: set a value", { name: title }));
    },
    addNode(type, values) {
      const tab = front();
      if (looking.get().locked) throw new Error("the graph is locked");
      const spec = specs.get()?.get(type);
      if (spec === undefined) throw new Error("there is no such node");
      const good = Object.entries(values).map(([name, value]) => {
        const input = spec.inputs.find((one) => one.name === name && one.widget);
        if (input === undefined) throw new Error(`the node has no input ${name.slice(0, 40)}`);
        return [name, checked(input, value)] as const;
      });
      addNode(type, undefined, undefined, Object.fromEntries(good));
      return [...tab.selection.current.nodes][0];
    },
    say: (words) => say(`${title}: ${words}`),
    theme: () => {
      const style = getComputedStyle(document.documentElement);
      return Object.fromEntries(TOKENS.map((name) => [name, style.getPropertyValue(name).trim()]));
    },
  };
}
