/**
 * How far behind the sound the face is shown: a constant while that leaves nearly every frame the time to arrive, so
 * that the face moves evenly however unevenly frames come. The while follows slowly when the network changes.
 *
 * Times are milliseconds since the sound began. Knows no browser.
 */

/** How long the lateness of frames is remembered. */
const MEMORY_S = 10;
/** Share of them that need not come in time: when all stands still for half a second once, no delay is worth it. */
const LATE_SHARE = 0.05;
/** The same of the first frames, of which there are so few that one standstill could be most of them. */
const LATE_SHARE_AT_FIRST = 1 / 3;
/** What is kept in hand. */
const SPARE_MS = 4;
/**
 * The share of the time between two frames in which the face moves from one to the next; it rests for the others. All of
 * it would be smoothest, but each frame would have to be there a whole interval before it is due.
 */
const MOVING_SHARE = 0.25;
/** How fast the delay may grow and shrink, in seconds per second: the face slows down or hurries by as much. */
const GROWTH = 0.2;
const SHRINKING = 0.1;
/** The same in the first moments, when the endpoint has to warm up and the first frames are the latest. */
const FIRST_S = 2;
const SHRINKING_AT_FIRST = 1;

export class Pacer {
  /** Between a sound and its face. Null until the first frame has come. */
  delayMs: number | null = null;
  /** How late frames come after their instant, but for the latest few. */
  arrivalMs = 0;
  /** The part of the delay that is there so that the face moves evenly. */
  readonly marginMs: number;

  private readonly lateness: number[] = [];
  private readonly intervalMs: number;
  private readonly mostRemembered: number;
  private firstMs = 0;
  private lastMs = 0;

  constructor(fps: number) {
    this.intervalMs = 1000 / fps;
    this.marginMs = SPARE_MS + MOVING_SHARE * this.intervalMs;
    this.mostRemembered = Math.ceil(MEMORY_S * fps);
  }

  /** Frames came. */
  note(firstFrame: number, numFrames: number, nowMs: number): void {
    for (let frame = firstFrame; frame < firstFrame + numFrames; frame++) {
      this.lateness.push(nowMs - frame * this.intervalMs);
    }
    this.lateness.splice(0, this.lateness.length - this.mostRemembered);
    const sorted = this.lateness.toSorted((one, other) => other - one);
    const numLate = Math.min(LATE_SHARE * this.mostRemembered, LATE_SHARE_AT_FIRST * sorted.length);
    this.arrivalMs = sorted[Math.floor(numLate)]!;
    if (this.delayMs === null) {
      this.delayMs = this.wantedMs;
      this.firstMs = this.lastMs = nowMs;
    }
  }

  /** The instant whose face is to be shown; null while there is none. */
  position(nowMs: number): number | null {
    if (this.delayMs === null) return null;
    const elapsedMs = Math.max(0, nowMs - this.lastMs);
    const change = this.wantedMs - this.delayMs;
    const shrinking = nowMs < this.firstMs + 1000 * FIRST_S ? SHRINKING_AT_FIRST : SHRINKING;
    this.delayMs += Math.min(Math.max(change, -shrinking * elapsedMs), GROWTH * elapsedMs);
    this.lastMs = nowMs;
    return nowMs - this.delayMs;
  }

  /** Which frame is shown at an instant; between two numbers, what is between the frames. */
  frameAt(positionMs: number): number {
    const position = Math.max(positionMs, 0) / this.intervalMs;
    const frame = Math.floor(position);
    return frame + Math.max(0, (position - frame - (1 - MOVING_SHARE)) / MOVING_SHARE);
  }

  private get wantedMs(): number {
    return this.arrivalMs + this.marginMs;
  }
}
