/** Line icons, 24 units wide; drawn for the editor. */
const PATHS = {
  nodes: "M4 6h7v5H4zM13 13h7v5h-7zM11 8.5h3a2 2 0 0 1 2 2V13",
  workflows: "M4 6h6l2 2h8v10H4z",
  models: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  queue: "M4 6h16M4 12h16M4 18h9",
  gallery: "M4 5h16v14H4zM4 15l4-4 4 4 3-3 5 5M15.5 9.5h.01",
  outline: "M4 5h7M8 10h8M8 15h8M12 20h8",
  history: "M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4M12 8v4l3 2",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  play: "M8 5l11 7-11 7z",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  retry: "M20 12a8 8 0 1 1-2.5-5.8M20 4v4h-4",
  pause: "M8 5v14M16 5v14",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  open: "M4 19V5h6l2 2h8v4M4 19l3-8h14l-3 8z",
  save: "M5 4h11l3 3v13H5zM8 4v5h7V4M8 20v-6h8v6",
  bookmark: "M7 4h10v16l-5-4.5L7 20z",
  pencil: "M5 19l1-4.5L15.5 5l3.5 3.5L9.5 18zM13 7.5l3.5 3.5",
  star: "M12 4l2.4 5 5.6.7-4.1 3.8 1.1 5.5-5-2.8-5 2.8 1.1-5.5L4 9.7 9.6 9z",
  dice: "M5 5h14v14H5zM9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  link: "M10 14l4-4M8.5 11L6 13.5a3.5 3.5 0 0 0 5 5L13.5 16M15.5 13l2.5-2.5a3.5 3.5 0 0 0-5-5L10.5 8",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  versions: "M7 4h10v12H7zM4 8v12h10",
  extensions: "M10 5a2 2 0 1 1 4 0h5v5a2 2 0 1 1 0 4v5H5v-5a2 2 0 1 0 0-4V5z",
  memory: "M6 7h12v10H6zM9 4v3M12 4v3M15 4v3M9 17v3M12 17v3M15 17v3",
  lock: "M7 11h10v9H7zM9 11V8a3 3 0 0 1 6 0v3",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  minus: "M5 12h14",
  copy: "M9 9h10v11H9zM5 15V4h10",
  compare: "M12 3v18M4 6h8v12H4zM12 6h8v12h-8",
  check: "M5 12.5l4.5 4.5L19 7.5",
  brush: "M20 4l-9 9M8.5 13c-2.5 0-3.5 2-3.5 4 0 1.5-1 2-1 2 2.5 1 7.5 1 7.5-3a3 3 0 0 0-3-3z",
  eraser: "M9 20h11M5 15l9-10 6 5.5L12 20H9z",
  bucket: "M11 4l8 8-7 7-8-7 7-7M5 12h13M20.5 16c1 1.5 1 3 0 3s-1-1.5 0-3z",
  rectangle: "M4 6h16v12H4z",
  ellipse: "M12 6c5 0 8 2.7 8 6s-3 6-8 6-8-2.7-8-6 3-6 8-6z",
  lasso: "M7 16c-4-2-4-8 1-10s12 0 12 4-6 7-11 5.5c-2-.6-3 1.5-1.5 2.5s1 2.5 0 3",
  hand: "M8 12V6.5a1.5 1.5 0 0 1 3 0V11 5a1.5 1.5 0 0 1 3 0v6-4.5a1.5 1.5 0 0 1 3 0V15c0 4-2 6-5 6-3.5 0-4.5-2-7-6 1-1.5 2-1 3 0z",
  swap: "M4 9h14l-4-4M20 15H6l4 4",
  undo: "M9 7l-5 5 5 5M4 12h9a6 6 0 0 1 6 6",
  redo: "M15 7l5 5-5 5M20 12h-9a6 6 0 0 0-6 6",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" data-icon={name}>
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark: a lamp behind its red glass. */
export function Mark() {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <circle cx="12" cy="12" r="9.2" fill="none" stroke="currentColor" strokeWidth="1.6" />
      <circle cx="12" cy="12" r="4.6" fill="var(--accent)" />
    </svg>
  );
}
