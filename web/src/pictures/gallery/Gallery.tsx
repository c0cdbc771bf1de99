import { useEffect, useMemo, useRef, useState } from "react";
import { queue } from "../../client/queue";
import { Store, useStore } from "../../client/store";
import { t } from "../../i18n";
import { Slider } from "../../shell/controls/Slider";
import { Icon } from "../../shell/icons";
import { sayError } from "../../shell/toasts";
import { discard } from "../actions";
import { restorePictures, shownOf, type GalleryQuery } from "../files";
import { openScreen } from "../screens";
import { Grid, keyOf } from "./Grid";
import { Pages } from "./pages";
import { NONE } from "./selection";
import { dayOf, timesOf, type Span } from "./span";
import "../pictures.css";

const TYPING_MS = 180;

/** What was put into the trash last, so that it can be brought back. */
const trash = new Store<{ readonly key: string; readonly count: number } | undefined>(undefined);

/** Everything in the output folder with search and filters; `large` has room for larger tiles. */
export function Gallery({ large, leave }: { readonly large: boolean; readonly leave?: () => void }) {
  const [text, setText] = useState("");
  const [asked, setAsked] = useState("");
  const [span, setSpan] = useState<Span>("all");
  const [workflow, setWorkflow] = useState("");
  const [chosen, choose] = useState(NONE);
  const [tile, setTile] = useState(large ? 176 : 78);
  const [again, setAgain] = useState(0);
  const newest = useStore(queue).done[0]?.id;
  useEffect(() => {
    const later = setTimeout(() => setAsked(text.trim()), TYPING_MS);
    return () => clearTimeout(later);
  }, [text]);
  const question = JSON.stringify([asked, span, workflow]);
  const { pages, listing } = useListing(asked, span, workflow, `${newest} ${again}`);
  const { total, workflows } = listing;
  const picked = useMemo(() => (total === undefined ? [] : pages.range(0, total - 1).filter((one) => chosen.keys.has(keyOf(one)))), [pages, total, chosen, listing]);
  const refresh = (): void => setAgain((count) => count + 1);
  const remove = (): void => {
    const here = pages.at(chosen.focus);
    const files = picked.length > 0 ? picked : here ? [here] : [];
    if (files.length === 0) return;
    choose({ ...chosen, keys: new Set() });
    void discard(files, refresh, (key, count) => trash.set({ key, count })).catch(sayError);
  };
  const filtered = asked !== "" || span !== "all" || workflow !== "";
  return (
    <div className="gallery" data-large={large ? "" : undefined}>
      <Filters {...{ text, setText, span, setSpan, workflow, setWorkflow, workflows, large, tile, setTile }} />
      <div className="gallery-bar">
        <span className="quiet small" role="status">{total === undefined ? t("loading", "Loading") : chosen.keys.size > 0 ? t("gallery.chosen", "{count} chosen", { count: chosen.keys.size }) : t("gallery.count", "{count} pictures", { count: total })}</span>
        <Picked picked={picked} remove={remove} clear={() => choose({ ...chosen, keys: new Set() })} />
        {chosen.keys.size === 0 && <Back done={refresh} />}
        {chosen.keys.size === 0 && <button className="button tiny" onClick={() => openScreen({ kind: "sheets" })}>{t("sheets", "Sheets")}</button>}
        {!large && chosen.keys.size === 0 && (
          <button className="button tiny" onClick={() => openScreen({ kind: "gallery" })}>{t("gallery.large", "Large")}</button>
        )}
      </div>
      {total === 0 ? (
        <div className="empty">
          <Icon name="gallery" />
          <p>{filtered ? t("gallery.nothing", "No picture is like that.") : t("gallery.empty", "Pictures that you save appear here.")}</p>
        </div>
      ) : (
        <Grid key={question} pages={pages} tile={tile} chosen={chosen} choose={choose} remove={remove} leave={leave} />
      )}
    </div>
  );
}

/** What is listed; until another answer is there, what was there before stays. */
function useListing(asked: string, span: Span, workflow: string, again: string) {
  const shown = useRef<Pages | undefined>(undefined);
  const asking = useMemo(() => {
    const query: GalleryQuery = { q: asked, workflow, ...timesOf(span) };
    const before = shown.current;
    // The same question again: what is in view stays in view.
    return new Pages(query, sayError, JSON.stringify(before?.query) === JSON.stringify(query) ? before : undefined);
  }, [asked, span, workflow, again]);
  useEffect(() => () => asking.close(), [asking]);
  const next = useStore(asking.listing);
  if (shown.current === undefined || (next.total !== undefined && next.settled)) shown.current = asking;
  const pages = shown.current;
  return { pages, listing: useStore(pages.listing) };
}

interface FilterProps {
  readonly text: string;
  setText(text: string): void;
  readonly span: Span;
  setSpan(span: Span): void;
  readonly workflow: string;
  setWorkflow(name: string): void;
  readonly workflows: Readonly<Record<string, number>>;
  readonly large: boolean;
  readonly tile: number;
  setTile(tile: number): void;
}

function Filters({ text, setText, span, setSpan, workflow, setWorkflow, workflows, large, tile, setTile }: FilterProps) {
  const names = Object.entries(workflows).sort(([a, x], [b, y]) => y - x || a.localeCompare(b));
  return (
    <div className="gallery-tools">
      <input className="field" type="search" aria-label={t("gallery.search", "Search by prompt, model or seed")} placeholder={t("gallery.search", "Search by prompt, model or seed")} value={text} onChange={(event) => setText(event.target.value)} />
      <select className="field" aria-label={t("gallery.when", "When")} value={/^\d/.test(span) ? "day" : span} onChange={(event) => setSpan(event.target.value === "day" ? dayOf(new Date()) : (event.target.value as Span))}>
        <option value="all">{t("gallery.all", "Any day")}</option>
        <option value="today">{t("gallery.today", "Today")}</option>
        <option value="week">{t("gallery.week", "Last 7 days")}</option>
        <option value="month">{t("gallery.month", "Last 30 days")}</option>
        <option value="day">{t("gallery.day", "One day…")}</option>
      </select>
      <select className="field" aria-label={t("gallery.workflow", "Workflow")} value={workflow} onChange={(event) => setWorkflow(event.target.value)}>
        <option value="">{t("gallery.workflows", "All workflows")}</option>
        {workflow !== "" && workflows[workflow] === undefined && <option value={workflow}>{workflow}</option>}
        {names.map(([name, count]) => (
          <option key={name} value={name}>{`${name} (${count})`}</option>
        ))}
      </select>
      {/^\d/.test(span) && <input className="field day" type="date" aria-label={t("gallery.whichDay", "Which day")} value={span} onChange={(event) => event.target.value !== "" && setSpan(event.target.value as Span)} />}
      {large && (
        <div className="row tilesize">
          <span className="small quiet" aria-hidden="true">{t("gallery.size", "Size")}</span>
          <Slider label={t("gallery.size", "Size")} min={96} max={384} step={8} value={tile} set={setTile} />
        </div>
      )}
    </div>
  );
}

/** What can be done with the pictures that are chosen. */
function Picked({ picked, remove, clear }: { readonly picked: readonly Parameters<typeof shownOf>[0][]; readonly remove: () => void; readonly clear: () => void }) {
  const [a, b] = picked;
  if (a === undefined) return null;
  return (
    <div className="row" role="group" aria-label={t("gallery.withChosen", "With those chosen")}>
      {b && picked.length === 2 && (
        // The older one is A: what came of it is B.
        <button className="button tiny" onClick={() => openScreen({ kind: "compare", pictures: [shownOf(b), shownOf(a)] })}>{t("gallery.compare", "Compare")}</button>
      )}
      {b && <button className="button tiny" onClick={() => openScreen({ kind: "pictureSheet", pictures: picked.map(shownOf) })}>{t("gallery.sheet", "Sheet")}</button>}
      <button className="button tiny icon" aria-label={t("gallery.delete", "Put {count} into the trash", { count: picked.length })} title={t("gallery.delete", "Put {count} into the trash", { count: picked.length })} onClick={remove}>
        <Icon name="trash" />
      </button>
      <button className="button tiny icon" aria-label={t("gallery.clear", "Choose none")} title={t("gallery.clear", "Choose none")} onClick={clear}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function Back({ done }: { readonly done: () => void }) {
  const last = useStore(trash);
  if (last === undefined) return null;
  const back = async (): Promise<void> => {
    trash.set(undefined);
    await restorePictures(last.key);
    done();
  };
  return <button className="button tiny" onClick={() => void back().catch(sayError)}>{t("gallery.backCount", "Bring back {count}", { count: last.count })}</button>;
}
