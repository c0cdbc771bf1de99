import { useEffect, useRef, useState } from "react";
import type { ServerFile } from "../../client/files";
import { Icon } from "../../shell/icons";
import { thumbnailOf } from "../files";

interface Props {
  readonly file: ServerFile;
  readonly current: boolean;
  /** Show the folder too: what was searched for may lie anywhere. */
  readonly whole: boolean;
  readonly choose: () => void;
}

/** A file with its picture; a film shows its first frame. */
export function FileTile({ file, current, whole, choose }: Props) {
  const tile = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (current) tile.current?.scrollIntoView({ block: "nearest" });
  }, [current]);
  const path = file.subfolder ? `${file.subfolder}/${file.filename}` : file.filename;
  return (
    <button ref={tile} className="filetile" aria-pressed={current} title={path} onClick={choose}>
      <span className="face"><Face file={file} /></span>
      <span className="name">{whole ? path : file.filename}</span>
    </button>
  );
}

function Face({ file }: { readonly file: ServerFile }) {
  const [there, setThere] = useState(true);
  const url = `/view?${new URLSearchParams({ filename: file.filename, subfolder: file.subfolder, type: file.type })}`;
  if (file.kind === "video" && there) return <video src={`${url}#t=0.01`} muted preload="metadata" onError={() => setThere(false)} />;
  if (file.kind === "image" && there) return <img src={thumbnailOf(url, 192, file.modified)} alt="" loading="lazy" decoding="async" onError={() => setThere(false)} />;
  return <Icon name={file.kind === "audio" ? "play" : "copy"} />;
}
