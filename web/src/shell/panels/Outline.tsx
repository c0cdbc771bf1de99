import { useMemo, useState } from "react";
import { useStore } from "../../client/store";
import { specOf } from "../../document/shown";
import { ROOT, type GraphNode, type Specs } from "../../document/types";
import { t } from "../../i18n";
import { Segments } from "../controls/Segments";
import { Field } from "../Field";
import { fieldsOf } from "../formFields";
import { graphHandle } from "../graphHandle";
import { outlineShows } from "../Rail";
import { useNode, useRevision } from "../useDocument";
import { active, specs, type Tab } from "../workspace";
import { Bookmarks } from "./Bookmarks";

/** All nodes as a list in the order in which they run, with every value to edit: the graph without the picture of it. Beside it the bookmarks. */
export default function Outline() {
  const tab = useStore(active);
  const known = useStore(specs);
  const shown = useStore(outlineShows);
  const kinds = [
    ["nodes", t("panel.nodes", "Nodes")],
    ["bookmarks", t("bookmarks", "Bookmarks")],
  ] as const;
  return (
    <>
      <div className="tools">
        <Segments label={t("panel.outline", "Outline")} value={shown} choices={kinds} set={(one) => outlineShows.set(one)} />
      </div>
      <div className="body outline">{tab && known && (shown === "nodes" ? <List tab={tab} known={known} /> : <Bookmarks key={tab.key} tab={tab} />)}</div>
    </>
  );
}

function List({ tab, known }: { readonly tab: Tab; readonly known: Specs }) {
  const { graph: graphId } = useStore(tab.place);
  const revision = useRevision(tab.document);
  const order = useMemo(() => inOrder(tab, graphId), [tab, graphId, revision]);
  return (
    <div className="list">
      {order.map((id) => (
        <Node key={id} tab={tab} graph={graphId} id={id} known={known} />
      ))}
      {order.length === 0 && <p className="empty">{t("outline.empty", "There are no nodes.")}</p>}
    </div>
  );
}

function Node({ tab, graph, id, known }: { readonly tab: Tab; readonly graph: string; readonly id: string; readonly known: Specs }) {
  const node = useNode(tab.document, graph, id);
  const [open, setOpen] = useState(false);
  if (node === undefined) return null;
  const spec = specOf(tab.document.workflow, node, known);
  const title = node.title ?? spec?.title ?? node.type;
  const show = (): void => {
    tab.selection.set({ nodes: new Set([id]) });
    graphHandle.get()?.centreOn(id);
  };
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary onClick={show}>
        <span className="label" dir="auto">{title}</span>
        {node.mode !== "always" && <span className="small quiet">{node.mode === "mute" ? t("node.mute", "Mute") : t("node.bypass", "Bypass")}</span>}
      </summary>
      {open && spec && (
        <div className="values">
          {fieldsOf(node, spec).map((shown) => (
            <Field key={shown.input.name} document={tab.document} graph={graph} shown={shown} />
          ))}
          <Sources tab={tab} graph={graph} node={node} known={known} />
        </div>
      )}
    </details>
  );
}

function Sources({ tab, graph, node, known }: { readonly tab: Tab; readonly graph: string; readonly node: GraphNode; readonly known: Specs }) {
  const links = tab.document.linksOf(graph, node.id).in;
  return (
    <ul className="small quiet">
      {links.map((link) => {
        const from = tab.document.node(graph, link.from);
        const name = from ? (from.title ?? known.get(from.type)?.title ?? from.type) : t("outline.outside", "from outside");
        return <li key={link.id}>{`${node.inputs[link.input]?.name ?? ""} ← ${name}`}</li>;
      })}
    </ul>
  );
}

/** Ids so that each node comes after those it needs; nodes in a circle come last. */
function inOrder(tab: Tab, graphId: string): readonly string[] {
  const graph = tab.document.workflow.graphs.get(graphId) ?? tab.document.graph(ROOT);
  const waits = new Map([...graph.nodes.keys()].map((id) => [id, 0]));
  for (const link of graph.links.values()) if (waits.has(link.to) && waits.has(link.from)) waits.set(link.to, (waits.get(link.to) ?? 0) + 1);
  const ready = [...waits].filter(([, count]) => count === 0).map(([id]) => id);
  const order: string[] = [];
  for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
    order.push(id);
    for (const link of tab.document.linksOf(graphId, id).out) {
      const left = (waits.get(link.to) ?? 0) - 1;
      waits.set(link.to, left);
      if (left === 0) ready.push(link.to);
    }
  }
  const placed = new Set(order);
  return [...order, ...[...graph.nodes.keys()].filter((id) => !placed.has(id))];
}
