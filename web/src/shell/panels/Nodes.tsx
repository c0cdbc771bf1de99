import { useDeferredValue, useMemo, useState } from "react";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import type { NodeSpec } from "../../document/types";
import { addNode } from "../adding";
import { Icon } from "../icons";
import { preference, setPreference } from "../preferences";
import { rank } from "../ranking";
import { active, specs } from "../workspace";

interface Branch {
  readonly name: string;
  readonly branches: Map<string, Branch>;
  readonly nodes: NodeSpec[];
}

function treeOf(all: readonly NodeSpec[]): Branch {
  const root: Branch = { name: "", branches: new Map(), nodes: [] };
  for (const spec of all) {
    let here = root;
    for (const part of spec.category.split("/").filter(Boolean)) {
      const next = here.branches.get(part) ?? { name: part, branches: new Map(), nodes: [] };
      here.branches.set(part, next);
      here = next;
    }
    here.nodes.push(spec);
  }
  return root;
}

const byName = <T extends { readonly name: string }>(a: T, b: T): number => a.name.localeCompare(b.name);

export default function Nodes() {
  const known = useStore(specs);
  const used = useStore(preference("used"));
  const favourites = useStore(preference("favourites"));
  const [text, setText] = useState("");
  const query = useDeferredValue(text.trim());
  const all = useMemo(() => [...(known?.values() ?? [])].filter((spec) => !spec.deprecated), [known]);
  const tree = useMemo(() => treeOf(all), [all]);
  const found = useMemo(() => {
    const candidates = all.map((spec) => ({ id: spec.type, title: spec.title, also: `${spec.category} ${spec.description}`, category: "", spec }));
    return query === "" ? [] : rank(query, candidates, used).slice(0, 80);
  }, [all, query, used]);
  const starred = favourites.flatMap((type) => known?.get(type) ?? []);
  return (
    <>
      <div className="tools">
        <input className="field" type="search" aria-label={t("nodes.search", "Search nodes")} placeholder={t("nodes.search", "Search nodes")} value={text} onChange={(event) => setText(event.target.value)} />
      </div>
      <div className="body">
        {query !== "" && found.map((one) => <Entry key={one.id} spec={one.spec} />)}
        {query !== "" && found.length === 0 && <p className="empty">{t("find.none", "Nothing fits")}</p>}
        {query === "" && starred.length > 0 && (
          <>
            <h3 className="section">{t("nodes.favourites", "Favourites")}</h3>
            {starred.map((spec) => (
              <Entry key={spec.type} spec={spec} />
            ))}
          </>
        )}
        {query === "" && <Branches branch={tree} />}
      </div>
    </>
  );
}

function Branches({ branch }: { readonly branch: Branch }) {
  return (
    <>
      {[...branch.branches.values()].sort(byName).map((one) => (
        <LazyBranch key={one.name} branch={one} />
      ))}
      {branch.nodes
        .toSorted((a, b) => a.title.localeCompare(b.title))
        .map((spec) => (
          <Entry key={spec.type} spec={spec} />
        ))}
    </>
  );
}

/** What is in a category is only made when it is opened: there are thousands with many packs. */
function LazyBranch({ branch }: { readonly branch: Branch }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{branch.name}</summary>
      {open && (
        <div>
          <Branches branch={branch} />
        </div>
      )}
    </details>
  );
}

function Entry({ spec }: { readonly spec: NodeSpec }) {
  const favourites = useStore(preference("favourites"));
  const starred = favourites.includes(spec.type);
  const add = (): void => {
    active.get()?.view.set("graph");
    addNode(spec.type);
  };
  return (
    <div className="entry" draggable onDragStart={(event) => event.dataTransfer.setData("application/x-safelight-node", spec.type)}>
      <button className="open" title={spec.description || spec.type} onClick={add}>
        {spec.title}
      </button>
      <button
        className={`button bare tiny icon ${starred ? "on" : ""}`}
        aria-pressed={starred}
        aria-label={t("nodes.star", "Favourite: {name}", { name: spec.title })}
        onClick={() => setPreference("favourites", starred ? favourites.filter((type) => type !== spec.type) : [...favourites, spec.type])}
      >
        <Icon name="star" />
      </button>
    </div>
  );
}
