import { useEffect, useRef } from "react";
import { useStore } from "../client/store";
import { preference } from "../shell/preferences";
import { useRevision } from "../shell/useDocument";
import { active, type Tab } from "../shell/workspace";
import { bridge } from "./bridge";
import { hostFor } from "./host";
import { API_VERSION, type Manifest, type PanelFacts } from "./manifest";

interface Props {
  readonly pack: string;
  readonly manifest: Manifest;
  readonly panel: PanelFacts;
}

/**
 * A page of an extension. The frame's sandbox and the policy that the server sends with the page both give it an origin
 * of its own: no cookies, no storage, no network, no way into this page but messages.
 */
export default function FramePanel({ pack, manifest, panel }: Props) {
  const frame = useRef<HTMLIFrameElement>(null);
  const tab = useStore(active);
  useEffect(() => {
    const answer = bridge(hostFor(manifest.title), manifest.may);
    const hear = (event: MessageEvent): void => {
      const window = frame.current?.contentWindow;
      // A frame without an origin says "null"; a page of this origin in it would be another one than was meant.
      if (window == null || event.source !== window || event.origin !== "null") return;
      const said = answer(event.data);
      if (said !== undefined) window.postMessage(said, "*");
    };
    addEventListener("message", hear);
    return () => removeEventListener("message", hear);
  }, [manifest]);
  const tell = (event: string): void => frame.current?.contentWindow?.postMessage({ safelight: API_VERSION, event }, "*");
  const theme = useStore(preference("theme"));
  useEffect(() => tell("theme"), [theme]);
  return (
    <>
      {tab && manifest.may.has("read") && <Following key={tab.key} tab={tab} tell={tell} />}
      <iframe ref={frame} className="extension" title={`${manifest.title}: ${panel.title}`} sandbox="allow-scripts" referrerPolicy="no-referrer" src={`/extensions/${encodeURIComponent(pack)}/${panel.page}`} />
    </>
  );
}

/** Says that something changed; what it is, the page asks for. */
function Following({ tab, tell }: { readonly tab: Tab; readonly tell: (event: string) => void }) {
  const revision = useRevision(tab.document);
  useEffect(() => tell("changed"), [revision]);
  useEffect(() => tab.selection.subscribe(() => tell("selection")), [tab]);
  return null;
}
