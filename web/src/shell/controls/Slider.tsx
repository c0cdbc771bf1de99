import type { CSSProperties } from "react";

interface Props {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly set: (value: number) => void;
}

/** A track that is filled up to the thumb. */
export function Slider({ label, value, min, max, step, set }: Props) {
  const part = max > min ? (Math.min(max, Math.max(min, value)) - min) / (max - min) : 0;
  const style = { "--part": part } as CSSProperties;
  return <input className="slider" style={style} type="range" aria-label={label} min={min} max={max} step={step} value={Math.min(value, max)} onChange={(event) => set(Number(event.target.value))} />;
}
