import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { browseFiles, fileValue, upload, type FilePage, type FolderType, type ServerFile } from "../../client/files";
import { t } from "../../i18n";
import { Segments } from "../../shell/controls/Segments";
import { Icon } from "../../shell/icons";
import { sayError } from "../../shell/toasts";
import type { ScreenOf } from "../PictureScreens";
import { isField, ScreenFrame } from "../ScreenFrame";
import { leaveScreen } from "../screens";
import { FileTile } from "./FileTile";
import { placeOf, step } from "./places";
import "./picker.css";

const MOST = 400;
const TYPING_MS = 200;

/** Choose a file of the server: its folders, thumbnails, a search through all of them, and the way to bring one in. */
export default function FilePicker({ screen }: ScreenOf<"files">) {
  const begin = placeOf(screen.current);
  const [folder, setFolder] = useState<FolderType>(begin.type);
  const [subfolder, setSubfolder] = useState(begin.subfolder);
  const [words, setWords] = useState("");
  const [page, setPage] = useState<FilePage>();
  const [round, setRound] = useState(0);
  const chooser = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const leave = (value?: string): void => {
    leaveScreen();
    screen.done(value);
  };
  useEffect(() => {
    const asked = new AbortController();
    const ask = (): void => {
      browseFiles({ type: folder, subfolder, q: words, kind: screen.only, offset: 0, limit: MOST }, asked.signal).then(setPage, (error: unknown) => {
        if (asked.signal.aborted) return;
        setPage({ folders: [], files: [], total: 0 });
        if (subfolder !== "") setSubfolder(""); // it went meanwhile
        else sayError(error);
      });
    };
    const planned = setTimeout(ask, words === "" ? 0 : TYPING_MS);
    return () => {
      clearTimeout(planned);
      asked.abort();
    };
  }, [folder, subfolder, words, round, screen.only]);
  const go = (below: string): void => {
    setWords("");
    setSubfolder(below);
  };
  const bring = (files: Iterable<File>): void => {
    const all = [...files];
    const into = folder === "input" ? subfolder : "";
    void Promise.all(all.map((file) => upload(file, into))).then((stored) => {
      if (stored.length === 1) leave(fileValue({ filename: stored[0]!.name, subfolder: stored[0]!.subfolder, type: "input" }));
      else setRound((before) => before + 1);
    }, sayError);
  };
  const key = (event: KeyboardEvent): boolean => {
    if (isField(event.target)) return false;
    if (event.key === "Backspace" && subfolder !== "") go(subfolder.replace(/\/?[^/]*$/, ""));
    else return step(list.current, event.key);
    return true;
  };
  const folders: readonly (readonly [FolderType, string])[] = [
    ["input", t("picker.input", "Inputs")],
    ["output", t("picker.output", "Results")],
    ["temp", t("picker.temp", "Previews")],
  ];
  return (
    <ScreenFrame title={t("picker", "Choose a file")} className="picker" onKey={key} onLeave={() => leave()} small tools={<span className="grow" />}>
      <div className="picker-tools">
        <Segments label={t("picker.folder", "Folder")} value={folder} choices={folders} set={(value) => { setFolder(value); go(""); }} />
        <input className="field" type="search" autoFocus aria-label={t("picker.search", "Search in all its folders")} placeholder={t("picker.search", "Search in all its folders")} value={words} onChange={(event) => setWords(event.target.value)} />
        <button className="button" onClick={() => chooser.current?.click()}>
          <Icon name="up" /> {t("picker.upload", "From this computer…")}
        </button>
        <input ref={chooser} type="file" hidden multiple accept={screen.only === "" ? undefined : `${screen.only}/*`} onChange={(event) => bring(event.target.files ?? [])} />
      </div>
      <Path folder={folders.find(([id]) => id === folder)![1]} subfolder={subfolder} go={go} />
      <div
        ref={list}
        className="picker-list"
        role="group"
        aria-label={t("picker.files", "Files")}
        aria-busy={page === undefined}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          event.stopPropagation();
          bring(event.dataTransfer.files);
        }}
      >
        {page?.folders.map((name) => (
          <button key={name} className="filetile" onClick={() => go(subfolder === "" ? name : `${subfolder}/${name}`)}>
            <span className="face"><Icon name="workflows" /></span>
            <span className="name">{name}</span>
          </button>
        ))}
        {page?.files.map((file: ServerFile) => (
          <FileTile key={fileValue(file)} file={file} current={fileValue(file) === screen.current} whole={words !== ""} choose={() => leave(fileValue(file))} />
        ))}
        {page !== undefined && page.folders.length + page.files.length === 0 && (
          <div className="empty">
            <Icon name="gallery" />
            <p>{words === "" ? t("picker.empty", "There is nothing here yet. Drop files to bring them in.") : t("find.none", "Nothing fits")}</p>
          </div>
        )}
      </div>
      <p className="picker-count quiet small" role="status">
        {page && (page.total > page.files.length ? t("picker.more", "The newest {shown} of {count}; search for the others", { shown: page.files.length, count: page.total }) : t("picker.count", "{count} files", { count: page.total }))}
      </p>
    </ScreenFrame>
  );
}

function Path({ folder, subfolder, go }: { readonly folder: string; readonly subfolder: string; readonly go: (below: string) => void }) {
  const parts = subfolder === "" ? [] : subfolder.split("/");
  return (
    <nav className="picker-path" aria-label={t("picker.path", "Where")}>
      <button className="textlink" aria-current={parts.length === 0 ? "location" : undefined} onClick={() => go("")}>{folder}</button>
      {parts.map((part, at) => (
        <span key={parts.slice(0, at + 1).join("/")}>
          <span aria-hidden="true"> › </span>
          <button className="textlink" aria-current={at === parts.length - 1 ? "location" : undefined} onClick={() => go(parts.slice(0, at + 1).join("/"))}>{part}</button>
        </span>
      ))}
    </nav>
  );
}
