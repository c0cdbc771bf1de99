import { useMemo, useState } from "react";
import { useStore } from "../client/store";
import { t } from "../i18n";
import { overlay, type SearchPlace } from "./actions";
import { addNode } from "./adding";
import { allCommands, isEnabled, keysOf, runCommand, shown } from "./commands";
import { Select } from "./controls/Select";
import { Finder, type Found } from "./Finder";
import { fittingTypes } from "./fitting";
import { graphHandle } from "./graphHandle";
import { save } from "./keeping";
import { keepTemplate } from "./nodeTemplates";
import { preference } from "./preferences";
import { fuzzy, rank } from "./ranking";
import { sayError } from "./toasts";
import { active, specs } from "./workspace";

const close = (): void => overlay.set(undefined);

export function CommandPalette() {
  const find = (query: string): readonly Found[] =>
    allCommands()
      .filter((command) => command.id !== "view.palette" && isEnabled(command))
      .map((command) => ({ command, score: fuzzy(query, command.title) }))
      .filter((one) => one.score !== undefined)
      .sort((a, b) => (b.score ?? 0) - (a.score ?? 0))
      .map(({ command }) => {
        const key = keysOf(command)[0];
        return { id: command.id, title: command.title, ...(key ? { also: <kbd>{shown(key)}</kbd> } : {}) };
      });
  const choose = (id: string): void => {
    close();
    runCommand(id);
  };
  return <Finder label={t("palette", "All commands")} find={find} choose={choose} close={close} />;
}

export function NodeSearch({ x, y, at, port }: SearchPlace) {
  const known = useStore(specs);
  const used = useStore(preference("used"));
  const [category, setCategory] = useState("");
  const fitting = useMemo(() => fittingTypes(port), [known, port]);
  const categories = useMemo(() => [...new Set(fitting.map((one) => one.category))].filter(Boolean).sort(), [fitting]);
  const find = (query: string): readonly Found[] =>
    rank(query, fitting.filter((one) => category === "" || one.category === category), used).map((one) => ({
      id: one.id,
      title: one.title,
      also: one.title === one.id ? one.also : `${one.id} · ${one.also}`,
    }));
  const choose = (id: string): void => {
    close();
    addNode(id, at, port);
  };
  const filters = (
    <>
      {port && <span className="small quiet row">{t("search.fits", "Fits {type}", { type: port.type })}</span>}
      <Select small label={t("search.category", "Category")} value={category} options={[{ value: "", label: t("search.all", "All categories") }, ...categories.map((one) => ({ value: one, label: one }))]} set={setCategory} />
    </>
  );
  return <Finder label={t("node.add", "Add a node…")} find={find} choose={choose} close={close} filters={filters} place={{ x, y }} />;
}

export function FindInGraph() {
  const tab = useStore(active);
  if (tab === undefined) return null;
  const graph = tab.document.graph(tab.place.get().graph);
  const find = (query: string): readonly Found[] =>
    [...graph.nodes.values()]
      .map((node) => {
        const title = node.title ?? specs.get()?.get(node.type)?.title ?? node.type;
        const values = Object.values(node.values).filter((value) => typeof value === "string").join(" ");
        const hit = query.length > 1 && values.toLowerCase().includes(query.toLowerCase()) ? 60 : undefined;
        const score = Math.max(fuzzy(query, title) ?? -1, fuzzy(query, node.type) ?? -1, hit ?? -1, node.id === query ? 2000 : -1);
        return { id: node.id, title, also: `${node.type} #${node.id}`, score };
      })
      .filter((one) => one.score >= 0)
      .sort((a, b) => b.score - a.score);
  const look = (id: string): void => {
    tab.view.set("graph");
    tab.selection.set({ nodes: new Set([id]) });
    graphHandle.get()?.centreOn(id);
  };
  return <Finder label={t("find", "Find in the graph")} find={find} look={look} choose={(id) => { look(id); close(); graphHandle.get()?.focus(); }} close={close} />;
}

/** Ask for a name, in the same box that everything else is asked in. */
export function SaveAs() {
  const tab = useStore(active);
  if (tab === undefined) return null;
  const clean = (query: string): string => {
    const name = (query.trim() || tab.name.get()).replace(/\.json$/, "").replace(/[\\:*?"<>|]/g, "_");
    return `${name}.json`;
  };
  const find = (query: string): readonly Found[] => [{ id: "save", title: t("save.under", "Save as {name}", { name: clean(query) }) }];
  const choose = (_: string, query: string): void => {
    close();
    save(tab, clean(query)).catch(sayError);
  };
  return <Finder label={t("save.name", "Name, with / for folders")} find={find} choose={choose} close={close} />;
}

export function KeepTemplate() {
  const tab = useStore(active);
  const first = tab && [...tab.selection.current.nodes][0];
  const node = first === undefined ? undefined : tab?.document.node(tab.place.get().graph, first);
  const given = node?.title ?? specs.get()?.get(node?.type ?? "")?.title ?? "";
  const find = (query: string): readonly Found[] => [{ id: "keep", title: t("templates.keep", "Keep as {name}", { name: query.trim() || given }) }];
  const choose = (_: string, query: string): void => {
    close();
    keepTemplate((query.trim() || given).slice(0, 80));
  };
  return <Finder label={t("templates.name", "Name of the template")} find={find} choose={choose} close={close} />;
}
