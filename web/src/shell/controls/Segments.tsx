interface Props<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly choices: readonly (readonly [T, string])[];
  readonly set: (value: T) => void;
  readonly wide?: boolean;
}

/** A few choices side by side. */
export function Segments<T extends string>({ label, value, choices, set, wide = false }: Props<T>) {
  return (
    <div className={`segmented ${wide ? "wide" : ""}`} role="group" aria-label={label}>
      {choices.map(([id, name]) => (
        <button key={id} type="button" aria-pressed={value === id} onClick={() => set(id)}>
          {name}
        </button>
      ))}
    </div>
  );
}
