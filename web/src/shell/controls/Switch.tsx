import type { ReactNode } from "react";

interface Props {
  readonly on: boolean;
  readonly set: (on: boolean) => void;
  readonly children: ReactNode;
  readonly id?: string;
  readonly quiet?: boolean;
}

/** Its words on the left, the switch on the right. */
export function Switch({ on, set, children, id, quiet = false }: Props) {
  return (
    <label className={`switch ${quiet ? "quiet small" : ""}`}>
      <span className="grow">{children}</span>
      <input id={id} type="checkbox" role="switch" checked={on} onChange={(event) => set(event.target.checked)} />
    </label>
  );
}
