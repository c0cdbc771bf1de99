import { useEffect, useId, useRef, useState } from "react";
import { t } from "../../i18n";
import { Icon } from "../../shell/icons";
import { sayError } from "../../shell/toasts";
import { thumbnailOf } from "../files";
import { ScreenFrame } from "../ScreenFrame";
import { openScreen, showPictures, type SheetAxis, type Shown } from "../screens";
import { drawSheet } from "./drawSheet";

export interface Cell {
  readonly pictures: readonly Shown[];
  readonly state: "waiting" | "running" | "failed" | "none" | "done";
}
export interface SheetProps {
  readonly name: string;
  /** The first is in the columns, the second in the rows. */
  readonly axes: readonly SheetAxis[];
  /** By the places of the values; the second place is 0 where there is one axis. */
  cell(column: number, row: number): Cell;
  readonly note?: string;
}

const SIZES = [64, 512] as const;

/** Pictures in a table whose columns and rows are the values that made them. */
export function SheetView({ name, axes, cell, note }: SheetProps) {
  const [size, setSize] = useState(() => fitting(axes));
  const [busy, setBusy] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const [across, down] = axes;
  const columns = across?.values ?? [""];
  const rows = down?.values ?? [""];
  const all = rows.flatMap((_, row) => columns.flatMap((_, column) => cell(column, row).pictures));
  const title = t("sheet.title", "Sheet: {name}", { name });
  useEffect(() => {
    const element = box.current;
    const wheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      setSize((before) => Math.round(Math.min(SIZES[1], Math.max(SIZES[0], before * Math.exp(-event.deltaY * 0.002)))));
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  }, []);
  const save = async (): Promise<void> => {
    setBusy(true);
    try {
      const blob = await drawSheet(name, axes, (column, row) => cell(column, row).pictures[0]);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${name}_sheet.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      sayError(error);
    } finally {
      setBusy(false);
    }
  };
  const headed = (axis: SheetAxis | undefined): string => (axis ? `${axis.title} · ${axis.input}` : "");
  return (
    <ScreenFrame
      title={title}
      className="sheet"
      onKey={(event) => {
        if (event.target instanceof HTMLInputElement) return false;
        if (event.key === "+" || event.key === "=") setSize((before) => Math.min(SIZES[1], Math.round(before * 1.25)));
        else if (event.key === "-") setSize((before) => Math.max(SIZES[0], Math.round(before * 0.8)));
        else return false;
        return true;
      }}
      tools={
        <>
          {note && <span className="quiet" role="status">{note}</span>}
          <label className="row" htmlFor={id}>
            {t("gallery.size", "Size")}
            <input id={id} type="range" min={SIZES[0]} max={SIZES[1]} value={size} onChange={(event) => setSize(Number(event.target.value))} />
          </label>
          <button className="button" disabled={busy || all.length === 0} onClick={() => void save()}>
            <Icon name="download" /> {t("sheet.export", "Save as PNG")}
          </button>
        </>
      }
    >
      <div ref={box} className="sheet-box" tabIndex={0} role="region" aria-label={title}>
        <table className="sheet-table" style={{ fontSize: Math.max(11, Math.min(16, size / 12)) }}>
          <caption className="hidden-label">{[headed(across), headed(down)].filter(Boolean).join(" × ")}</caption>
          <thead>
            <tr>
              <td className="corner" rowSpan={2}>{headed(down)}</td>
              <th className="axis" scope="colgroup" colSpan={columns.length}>{headed(across)}</th>
            </tr>
            <tr>
              {columns.map((value, column) => <th key={column} scope="col" style={{ maxWidth: size }}><span title={value}>{value}</span></th>)}
            </tr>
          </thead>
          <tbody>
            {rows.map((value, row) => (
              <tr key={row}>
                <th scope="row"><span title={value}>{value}</span></th>
                {columns.map((_, column) => (
                  <td key={column}>
                    <Square cell={cell(column, row)} size={size} label={[columns[column], value].filter(Boolean).join(", ")} open={(picture) => showPictures(all, all.findIndex((one) => one.url === picture.url))} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {all.length === 2 && <button className="button" onClick={() => openScreen({ kind: "compare", pictures: [all[0]!, all[1]!] })}>{t("gallery.compare", "Compare")}</button>}
      </div>
    </ScreenFrame>
  );
}

/** As large as lets the whole sheet be seen, within reason. */
function fitting([across, down]: readonly SheetAxis[]): number {
  const wide = (window.innerWidth - (down ? 240 : 60)) / Math.max(1, across?.values.length ?? 1);
  const high = (window.innerHeight - 140) / Math.max(1, down?.values.length ?? 1);
  return Math.round(Math.max(96, Math.min(360, wide - 8, high - 8)));
}

function Square({ cell, size, label, open }: { readonly cell: Cell; readonly size: number; readonly label: string; open(picture: Shown): void }) {
  const side = { width: size, height: size };
  const states = { waiting: t("sheet.waiting", "Waiting"), running: t("sheet.running", "Running"), failed: t("sheet.failed", "Failed"), none: t("sheet.none", "None"), done: t("sheet.none", "None") };
  const [first] = cell.pictures;
  if (first === undefined) return <div className="sheet-cell quiet" data-state={cell.state} style={side}>{states[cell.state]}</div>;
  return (
    <div className="sheet-cell" data-many={cell.pictures.length > 1 ? "" : undefined} style={side}>
      {cell.pictures.slice(0, 4).map((picture, at) => (
        <button key={picture.url} aria-label={cell.pictures.length > 1 ? `${label} (${at + 1})` : label} title={label} onClick={() => open(picture)}>
          <img src={thumbnailOf(picture.url, size > 200 ? 512 : 256)} alt="" loading="lazy" decoding="async" />
        </button>
      ))}
    </div>
  );
}
