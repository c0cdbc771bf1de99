import { useLayoutEffect, useRef, useState } from "react";
import { useStore } from "../../client/store";
import { ROOT, type Bookmark } from "../../document/types";
import { t } from "../../i18n";
import { bookmarkTitle, DIGITS, forgetBookmark, goToBookmark, keepBookmark, nameBookmark } from "../bookmarks";
import { keysOf, allCommands, shown } from "../commands";
import { Icon } from "../icons";
import { sayError } from "../toasts";
import { useRevision } from "../useDocument";
import type { Tab } from "../workspace";

/** The places to come back to, in the order of their digits: one press leads there. */
export function Bookmarks({ tab }: { readonly tab: Tab }) {
  useRevision(tab.document);
  const onGraph = useStore(tab.view) === "graph";
  const [naming, setNaming] = useState<string>();
  const list = useRef<HTMLOListElement>(null);
  /** The bookmark that the keyboard goes on at once it is drawn: it stays in the list. */
  const next = useRef<string>(undefined);
  useLayoutEffect(() => {
    const row = next.current === undefined ? null : list.current?.querySelector<HTMLButtonElement>(`[data-digit="${next.current}"] .open`);
    if (row == null) return;
    next.current = undefined;
    row.focus();
  });
  const kept = Object.entries(tab.document.workflow.bookmarks ?? {}).sort(([a], [b]) => Number(a) - Number(b));
  const free = DIGITS.find((digit) => !kept.some(([taken]) => taken === digit));
  const add = (
    <button className="button" disabled={!onGraph || free === undefined} onClick={() => free !== undefined && keepBookmark(tab, free)}>
      <Icon name="bookmark" />
      {t("bookmark.add", "Bookmark this place")}
    </button>
  );
  if (kept.length === 0)
    return (
      <div className="empty">
        <Icon name="bookmark" />
        <p>{t("bookmark.none", "No bookmarks yet. Shift and a digit keep the selected node or the view; the digit alone leads back.")}</p>
        {add}
      </div>
    );
  const named = (digit: string, bookmark: Bookmark, name: string | undefined, byKey: boolean): void => {
    if (byKey) next.current = digit;
    if (name !== undefined) nameBookmark(tab, digit, bookmark, name);
    setNaming(undefined);
  };
  const forget = (digit: string): void => {
    const at = kept.findIndex(([one]) => one === digit);
    next.current = (kept[at + 1] ?? kept[at - 1])?.[0];
    forgetBookmark(tab, digit);
  };
  return (
    <>
      <ol className="list bookmarks" ref={list} aria-label={t("bookmarks", "Bookmarks")}>
        {kept.map(([digit, bookmark]) =>
          naming === digit ? (
            <li key={digit} className="entry tall">
              <Name value={bookmarkTitle(tab, bookmark)} done={(name, byKey) => named(digit, bookmark, name, byKey)} />
            </li>
          ) : (
            <Row key={digit} tab={tab} digit={digit} bookmark={bookmark} rename={() => setNaming(digit)} forget={() => forget(digit)} />
          ),
        )}
      </ol>
      <div className="after">{add}</div>
    </>
  );
}

interface RowProps {
  readonly tab: Tab;
  readonly digit: string;
  readonly bookmark: Bookmark;
  readonly rename: () => void;
  readonly forget: () => void;
}

function Row({ tab, digit, bookmark, rename, forget }: RowProps) {
  const title = bookmarkTitle(tab, bookmark);
  const graph = tab.document.workflow.graphs.get(bookmark.graph);
  const key = keysOf(allCommands().find((one) => one.id === `bookmark.go${digit}`)!)[0];
  const isNode = bookmark.node !== undefined && graph?.nodes.has(bookmark.node) === true;
  const inside = bookmark.graph === ROOT ? undefined : (graph?.name ?? "");
  const what = isNode ? t("bookmark.isNode", "Node") : t("bookmark.isView", "View at {zoom} %", { zoom: Math.round(bookmark.zoom * 100) });
  const facts = graph === undefined ? t("bookmark.lost", "Its subgraph is gone") : inside === undefined ? what : t("bookmark.inside", "{what} in {graph}", { what, graph: inside });
  const keys: Readonly<Record<string, () => void>> = { F2: rename, Delete: forget };
  return (
    <li className="entry tall" data-digit={digit}>
      <button
        className="open" disabled={graph === undefined} title={t("bookmark.go", "Go to bookmark {n}", { n: digit })}
        onClick={() => void goToBookmark(tab, digit).catch(sayError)}
        onKeyDown={(event) => {
          const run = keys[event.key];
          if (run === undefined) return;
          event.preventDefault();
          event.stopPropagation();
          run();
        }}
      >
        <b dir="auto">{title}</b>
        <span className="facts" dir="auto">{facts}</span>
      </button>
      <button className="button bare icon" aria-label={t("bookmark.rename", "Rename {name}", { name: title })} title={t("rename", "Rename")} onClick={rename}>
        <Icon name="pencil" />
      </button>
      <button className="button bare icon" aria-label={t("bookmark.remove", "Remove {name}", { name: title })} title={t("remove", "Remove")} onClick={forget}>
        <Icon name="trash" />
      </button>
      {key !== undefined && <kbd>{shown(key)}</kbd>}
    </li>
  );
}

/** Enter keeps the name, Escape what it was; an empty one gives the title back that the place has of itself. */
function Name({ value, done }: { readonly value: string; readonly done: (name: string | undefined, byKey: boolean) => void }) {
  const over = useRef(false);
  const end = (name: string | undefined, byKey: boolean): void => {
    if (over.current) return;
    over.current = true;
    done(name, byKey);
  };
  return (
    <input
      className="field" autoFocus dir="auto" defaultValue={value} maxLength={80} aria-label={t("bookmark.name", "Name of the bookmark")}
      onFocus={(event) => event.currentTarget.select()}
      onBlur={(event) => end(event.currentTarget.value, false)}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === "Enter") end(event.currentTarget.value, true);
        else if (event.key === "Escape") end(undefined, true);
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    />
  );
}
