import { ownColour, tokenOf } from "./sockets";

const NAMES = ["surface-0", "surface-1", "surface-2", "surface-3", "text", "text-quiet", "accent", "border", "focus"] as const;
export type ColourName = (typeof NAMES)[number];

/** Colours of the theme as the canvas needs them: resolved once, not per frame. */
export class Palette {
  private readonly colours = new Map<string, string>();
  font = "sans-serif";
  private style: CSSStyleDeclaration;

  constructor(private readonly host: HTMLElement) {
    this.style = getComputedStyle(host);
    this.read();
  }

  /** Reads everything again; to be called when the theme changes. */
  read(): void {
    this.colours.clear();
    this.style = getComputedStyle(this.host);
    for (const name of NAMES) this.colours.set(name, this.style.getPropertyValue(`--${name}`).trim() || "#888");
    this.font = this.style.fontFamily || "sans-serif";
  }

  get(name: ColourName): string {
    return this.colours.get(name) ?? "#888";
  }

  socket(type: string): string {
    let colour = this.colours.get(`type ${type}`);
    if (colour === undefined) {
      colour = this.style.getPropertyValue(tokenOf(type)).trim() || ownColour(type).replace("var(--text-quiet)", this.get("text-quiet"));
      this.colours.set(`type ${type}`, colour);
    }
    return colour;
  }
}
