import { useEffect, useState } from "react";
import { job as details, queue, refreshQueue, viewAddress, type JobDetails, type ShownFile } from "../../client/queue";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import type { ScreenOf } from "../PictureScreens";
import type { SheetJob, Shown } from "../screens";
import { SheetView, type Cell } from "./SheetView";

const ENDED: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

/** The jobs of a sweep as a sheet that fills while they run. */
export default function JobSheet({ screen }: ScreenOf<"sheet">) {
  const { axes, jobs, name } = screen;
  const known = useJobs(jobs);
  const { running } = useStore(queue);
  const ended = jobs.filter((one) => known.has(one.id)).length;
  const cell = (column: number, row: number): Cell => {
    const wanted = axes.map((axis, at) => axis.values[at === 0 ? column : row]);
    const one = jobs.find((job) => job.values.every((value, at) => value === wanted[at]));
    const found = one && known.get(one.id);
    if (one === undefined) return { pictures: [], state: "none" };
    if (found === undefined) return { pictures: [], state: running.some((job) => job.id === one.id) ? "running" : "waiting" };
    return { pictures: picturesOf(found), state: found.status === "completed" ? "done" : "failed" };
  };
  return <SheetView name={name} axes={axes} cell={cell} note={ended < jobs.length ? t("sheet.progress", "{done} of {count} done", { done: ended, count: jobs.length }) : ""} />;
}

/** Jobs that have ended, each fetched once. */
function useJobs(jobs: readonly SheetJob[]): ReadonlyMap<string, JobDetails> {
  const [known, setKnown] = useState<ReadonlyMap<string, JobDetails>>(new Map());
  const { running, waiting, loaded } = useStore(queue);
  useEffect(refreshQueue, [jobs]);
  useEffect(() => {
    if (!loaded) return undefined;
    let gone = false;
    const open = new Set([...running, ...waiting].map((one) => one.id));
    const asked = jobs.filter((one) => !known.has(one.id) && !open.has(one.id));
    const look = async (): Promise<void> => {
      const found = await Promise.all(asked.map((one) => details(one.id).catch(() => undefined)));
      const ended = found.filter((one) => one !== undefined && ENDED.has(one.status)) as JobDetails[];
      if (!gone && ended.length > 0) setKnown((before) => new Map([...before, ...ended.map((one) => [one.id, one] as const)]));
    };
    if (asked.length > 0) void look();
    return () => {
      gone = true;
    };
  }, [jobs, running, waiting, loaded, known]);
  return known;
}

function picturesOf(job: JobDetails): readonly Shown[] {
  const files = Object.values(job.outputs).flatMap((output) => (Array.isArray(output["images"]) ? (output["images"] as ShownFile[]) : []));
  const kept = files.filter((file) => file.type === "output");
  return (kept.length > 0 ? kept : files).map((file) => ({ url: viewAddress(file), name: file.subfolder ? `${file.subfolder}/${file.filename}` : file.filename }));
}
