/** Truth and prediction on two heads, posed for an instant. */

import { loadHead } from "../head/head";
import { Stage } from "../head/stage";
import { sampleInto } from "../motion/motion";
import type { PlayedClip } from "./clips";

/** The two sides, in the order of the heads. */
export const SIDES = ["truth", "prediction"] as const;
export type Side = (typeof SIDES)[number];

export class Faces {
  /** Called when the heads have been posed. */
  onPose: (() => void) | null = null;
  private readonly stage: Stage;
  private clip: PlayedClip | null = null;
  private weights: Record<Side, Float32Array> = { truth: new Float32Array(), prediction: new Float32Array() };
  private isDisposed = false;

  /** @param now gives the instant that is shown, in seconds. @throws Error where the browser has no WebGL. */
  constructor(
    canvas: HTMLCanvasElement,
    private readonly now: () => number,
  ) {
    this.stage = new Stage(canvas);
    this.stage.beforeRender = () => this.pose();
  }

  /** @throws Error when the GLB cannot be read. */
  async load(glb: ArrayBuffer): Promise<void> {
    const model = await loadHead(glb);
    if (this.isDisposed) return;
    this.stage.setHeads([model, model]);
    this.stage.renderOnce();
  }

  show(clip: PlayedClip): void {
    this.clip = clip;
    for (const side of SIDES) this.weights[side] = new Float32Array(clip[side].names.length);
    this.stage.renderOnce();
  }

  /** Follows the clock from picture to picture, or stands still. */
  follow(isPlaying: boolean): void {
    if (isPlaying) this.stage.start();
    else this.stage.stop();
  }

  /** For instants that are chosen while nothing plays. */
  renderOnce(): void {
    this.stage.renderOnce();
  }

  setTheme(theme: "light" | "dark"): void {
    this.stage.setTheme(theme);
  }

  /** What a channel of a head stands at; null as long as there is none. */
  weight(side: Side, channel: string): number | null {
    return this.stage.heads[SIDES.indexOf(side)]?.weight(channel) ?? null;
  }

  dispose(): void {
    this.isDisposed = true;
    this.stage.dispose();
  }

  private pose(): void {
    if (!this.clip) return;
    const timeS = this.now();
    for (const [index, side] of SIDES.entries()) {
      const motion = this.clip[side];
      sampleInto(this.weights[side], motion, timeS);
      this.stage.heads[index]?.setWeights(motion.names, this.weights[side]);
    }
    this.onPose?.();
  }
}
