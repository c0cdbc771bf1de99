import { cancelJob, clearWaiting, forgetDone, job as details, moveJob, pauseQueue, queue, retryJob, viewAddress, type Job } from "../../client/queue";
import { useStore } from "../../client/store";
import { ROOT, type NodeId } from "../../document/types";
import { t } from "../../i18n";
import { openBlob } from "../documents";
import { Icon, Mark } from "../icons";
import { keep } from "../keeping";
import { showPictures } from "../Lightbox";
import { PanelWait } from "../Rail";
import { sayError } from "../toasts";
import { openTab, specs, tabs, type Tab } from "../workspace";

export default function Queue() {
  const { running, waiting, done, paused, loaded } = useStore(queue);
  const nothing = running.length + waiting.length + done.length === 0;
  return (
    <>
      <div className="tools">
        <button className={`button ${paused ? "on" : ""}`} aria-pressed={paused} onClick={() => void pauseQueue(!paused).catch(sayError)}>
          <Icon name={paused ? "play" : "pause"} /> {paused ? t("queue.resume", "Go on") : t("queue.hold", "Pause")}
        </button>
        <span className="grow" />
        <button className="button bare" disabled={waiting.length === 0} onClick={() => void clearWaiting().catch(sayError)}>
          {t("queue.clear.short", "Clear waiting")}
        </button>
        <button className="button bare icon" disabled={done.length === 0} aria-label={t("queue.forget", "Forget done")} title={t("queue.forget", "Forget done")} onClick={() => void forgetDone().catch(sayError)}>
          <Icon name="trash" />
        </button>
      </div>
      <div className="body">
        {!loaded && <PanelWait />}
        {loaded && nothing && (
          <div className="empty">
            <Icon name="queue" />
            <p>{t("queue.empty", "Nothing has run yet.")}</p>
          </div>
        )}
        {running.length > 0 && <h3 className="section">{t("queue.running", "Running")}</h3>}
        {running.map((one) => (
          <Row key={one.id} job={one} />
        ))}
        {waiting.length > 0 && <h3 className="section">{t("queue.waiting", "Waiting")}</h3>}
        {waiting.map((one, at) => (
          <Row key={one.id} job={one} place={at} last={at === waiting.length - 1} />
        ))}
        {done.length > 0 && <h3 className="section">{t("queue.done", "Done")}</h3>}
        {done.map((one) => (
          <Row key={one.id} job={one} />
        ))}
      </div>
    </>
  );
}

function Row({ job, place, last }: { readonly job: Job; readonly place?: number; readonly last?: boolean }) {
  const open = job.status === "pending" || job.status === "in_progress";
  const act = (label: string, icon: Parameters<typeof Icon>[0]["name"], work: () => Promise<unknown>, disabled = false) => (
    <button className="button bare tiny icon" aria-label={label} title={label} disabled={disabled} onClick={() => void work().catch(sayError)}>
      <Icon name={icon} />
    </button>
  );
  return (
    <article className="job" aria-label={`${nameOf(job)}: ${stateText(job)}`}>
      <Thumb job={job} />
      <div className="what">
        <div title={nameOf(job)}>{nameOf(job)}</div>
        {job.status === "failed" ? (
          <div className="small failed">{job.execution_error?.exception_message}</div>
        ) : (
          job.status !== "in_progress" && <div className="quiet small">{job.status === "cancelled" ? `${stateText(job)} · ${timeText(job)}` : timeText(job)}</div>
        )}
        {job.status === "in_progress" && <Going job={job} />}
      </div>
      <div className="acts">
        {place !== undefined && act(t("queue.sooner", "Sooner"), "up", () => moveJob(job.id, place - 1), place === 0)}
        {place !== undefined && act(t("queue.later", "Later"), "down", () => moveJob(job.id, place + 1), last ?? false)}
        {open && act(t("cancel", "Cancel"), "close", () => cancelJob(job.id))}
        {!open && act(t("queue.open", "Open its workflow"), "open", () => openWorkflow(job))}
        {!open && act(t("queue.retry", "Run again"), "retry", () => retryJob(job.id))}
      </div>
    </article>
  );
}

function Thumb({ job }: { readonly job: Job }) {
  const file = job.preview_output;
  if (file === null || !/\.(png|webp|jpe?g|gif)$/i.test(file.filename)) return <span className="thumb"><Mark /></span>;
  return (
    <button className="thumb" aria-label={t("picture.enlarge", "Enlarge {name}", { name: file.filename })} onClick={() => showPictures([{ url: viewAddress(file), name: file.filename }])}>
      <img src={viewAddress(file, true)} alt="" loading="lazy" />
    </button>
  );
}

/** How far a running job is, and at which node: known of those that were queued here. */
function Going({ job }: { readonly job: Job }) {
  const tab = tabs.get().find((one) => one.run.has(job.id));
  return tab ? <Progress tab={tab} job={job} /> : <div className="quiet small">{`${stateText(job)} · ${timeText(job)}`}</div>;
}

function Progress({ tab, job }: { readonly tab: Tab; readonly job: Job }) {
  const { progress, node, promptId } = useStore(tab.run.summary);
  if (promptId !== job.id) return <div className="quiet small">{stateText(job)}</div>;
  const percent = Math.round(progress * 100);
  return (
    <>
      <div className="quiet small">{node === undefined ? stateText(job) : `${titleOfNode(tab, node)} · ${percent} %`}</div>
      <div className="bar" role="progressbar" aria-label={t("run.progress", "Progress")} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent}>
        <i style={{ transform: `scaleX(${progress})` }} />
      </div>
    </>
  );
}

/** The title of a node of a prompt; one inside a subgraph goes by the node that stands for it. */
function titleOfNode(tab: Tab, id: NodeId): string {
  const node = tab.document.node(ROOT, id.split(":")[0]!);
  return node === undefined ? id : (node.title ?? specs.get()?.get(node.type)?.title ?? tab.document.workflow.graphs.get(node.type)?.name ?? node.type);
}

const nameOf = (job: Job): string => job.name || t("job.unnamed", "Job {id}", { id: job.id.slice(0, 8) });

async function openWorkflow(job: Job): Promise<void> {
  const { workflow } = await details(job.id);
  const whole = workflow.extra_data.extra_pnginfo?.workflow ?? workflow.prompt;
  const opened = await openBlob(new Blob([JSON.stringify(whole)]));
  await keep(openTab(opened, { name: job.name || t("queue.from", "From the queue"), view: "graph" }));
}

function stateText(job: Job): string {
  return {
    pending: t("job.pending", "Waiting"),
    in_progress: t("job.running", "Running"),
    completed: t("job.completed", "Done"),
    failed: t("job.failed", "Failed"),
    cancelled: t("job.cancelled", "Cancelled"),
  }[job.status];
}

function timeText(job: Job): string {
  const at = new Date(job.create_time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (job.execution_start_time === null || job.execution_end_time === null) return at;
  return `${at} · ${((job.execution_end_time - job.execution_start_time) / 1000).toFixed(1)} s`;
}
