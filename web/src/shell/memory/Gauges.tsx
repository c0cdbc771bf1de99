import "../../styles/memory.css";
import { useCallback, useEffect, useState } from "react";
import { ask, fetchBlob } from "../../client/http";
import { t } from "../../i18n";
import { Popover } from "../controls/Popover";
import { Icon } from "../icons";
import { say, sayError } from "../toasts";
import { gigabytes } from "./figures";
import { gaugesIn, type Gauge, type Machine, type Held } from "./readings";

const LOOK_MS = 2000;

/** What memory is taken now: of the machine, of the cards, of what computes, and whatever else the server counts. */
export default function Gauges({ anchor, close }: { readonly anchor: Element; readonly close: () => void }) {
  const [gauges, setGauges] = useState<readonly Gauge[]>();
  const look = useCallback(async (signal?: AbortSignal) => {
    const asked = signal ? { signal } : {};
    const [machine, held, metrics] = await Promise.all([ask<Machine>("GET /system_stats", asked), ask<Held>("GET /memory", asked), fetchBlob("GET /metrics", asked)]);
    setGauges(gaugesIn(machine, held, await metrics.text()));
  }, []);
  useEffect(() => {
    const stop = new AbortController();
    let planned: ReturnType<typeof setTimeout>;
    const again = (): void => void look(stop.signal).catch(() => undefined).then(() => stop.signal.aborted || (planned = setTimeout(again, LOOK_MS)));
    again();
    return () => {
      stop.abort();
      clearTimeout(planned);
    };
  }, [look]);
  const free = (): void => {
    ask("POST /free", { body: { unload_models: true, free_memory: true } as never })
      .then(() => say(t("gauges.freed", "Weights and results that no run uses are let go of")))
      .then(() => look())
      .catch(sayError);
  };
  return (
    <Popover label={t("gauges", "Memory now")} anchor={anchor} close={close}>
      <div className="gauges">
        <h2>{t("gauges", "Memory now")}</h2>
        {gauges === undefined && <span className="skeleton" style={{ height: 60 }} />}
        {gauges?.map((one) => (
          <div key={one.name} className="gauge" data-part={one.part || undefined}>
            <span>{one.name}</span>
            <span className="number">{one.most === undefined ? gigabytes(one.bytes) : t("gauges.of", "{bytes} of {most}", { bytes: gigabytes(one.bytes), most: gigabytes(one.most) })}</span>
            {one.most !== undefined && one.most > 0 && (
              <span className="membar" aria-hidden="true">
                <i style={{ width: `${Math.min(100, (100 * one.bytes) / one.most)}%` }} />
              </span>
            )}
          </div>
        ))}
        <button className="button" onClick={free}>
          <Icon name="trash" /> {t("gauges.free", "Let go of what is kept")}
        </button>
      </div>
    </Popover>
  );
}
