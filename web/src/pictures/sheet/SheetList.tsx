import { useEffect, useState } from "react";
import { t } from "../../i18n";
import { sayError } from "../../shell/toasts";
import { ScreenFrame } from "../ScreenFrame";
import { replaceScreen } from "../screens";
import { batches, remembered, sheetOfBatch, type BatchRow, type Sheet } from "./sheets";

const timeOf = (at: number): string => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
const open = (sheet: Sheet): void => replaceScreen({ kind: "sheet", name: sheet.name, axes: sheet.axes, jobs: sheet.jobs });

/** Sweeps and batches, each of which opens as a sheet. */
export default function SheetList() {
  const [found, setFound] = useState<readonly BatchRow[]>();
  const own = remembered();
  useEffect(() => {
    batches().then(setFound, sayError);
  }, []);
  return (
    <ScreenFrame title={t("sheets", "Sheets")} small>
      <div className="sheets" aria-busy={found === undefined}>
        {own.length > 0 && <h3>{t("sheets.sweeps", "Sweeps of this browser")}</h3>}
        <ul className="list">
          {own.map((sheet) => (
            <li key={sheet.at}>
              <button className="entry" onClick={() => open(sheet)}>
                <span className="label">{sheet.name} · {sheet.axes.map((axis) => axis.input).join(" × ")}</span>
                <span className="quiet small">{t("sheets.runs", "{count} runs, {when}", { count: sheet.jobs.length, when: timeOf(sheet.at) })}</span>
              </button>
            </li>
          ))}
        </ul>
        {found !== undefined && found.length > 0 && <h3>{t("sheets.batches", "Batches of the server")}</h3>}
        <ul className="list">
          {found?.map((row) => (
            <li key={row.id}>
              <button className="entry" onClick={() => void sheetOfBatch(row).then(open, sayError)}>
                <span className="label">{row.id}</span>
                <span className="quiet small">{t("sheets.runs", "{count} runs, {when}", { count: row.jobs_count, when: timeOf(row.create_time) })}</span>
              </button>
            </li>
          ))}
        </ul>
        {own.length === 0 && found?.length === 0 && <p className="quiet">{t("sheets.none", "No sweep has run yet. Open a node's menu and choose “Sweep over values…”, or choose pictures in the gallery and press “Sheet”.")}</p>}
      </div>
    </ScreenFrame>
  );
}
