import type { Tab } from "./workspace";
export default function GraphScreen({ tab }: { readonly tab: Tab }) {
  return <div className="empty">{tab.document.revision}</div>;
}
