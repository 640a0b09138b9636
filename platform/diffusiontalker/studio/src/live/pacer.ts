/**
 * How far behind the sound the face is shown: a constant while that leaves nearly every frame the time to arrive, so
 * that the face moves evenly however unevenly frames come. The while follows slowly when the network changes.
 *
 * Times are milliseconds since the sound began. Knows no browser.
 */

/** Frames whose lateness is remembered, in seconds. */
const MEMORY_S = 4;
/** Share of frames that must come in time; the few that do not are held up for a moment. */
const IN_TIME = 0.95;
/** What is kept in hand. */
export const MARGIN_MS = 4;
/** How fast the delay may grow and shrink, in seconds per second: the face slows down or hurries by as much. */
const GROWTH = 0.2;
const SHRINKING = 0.03;

export class Pacer {
  /** Between a sound and its face. Null until the first frame has come. */
  delayMs: number | null = null;

  private readonly lateness: number[] = [];
  private readonly intervalMs: number;
  private readonly mostRemembered: number;
  private lastMs = 0;

  constructor(fps: number) {
    this.intervalMs = 1000 / fps;
    this.mostRemembered = Math.ceil(MEMORY_S * fps);
  }

  /** How late frames come after their instant, but for the latest few. */
  get arrivalMs(): number {
    const sorted = [...this.lateness].sort((one, other) => one - other);
    return sorted[Math.ceil(IN_TIME * sorted.length) - 1] ?? 0;
  }

  /** Frames came. */
  note(firstFrame: number, numFrames: number, nowMs: number): void {
    for (let frame = firstFrame; frame < firstFrame + numFrames; frame++) {
      this.lateness.push(nowMs - frame * this.intervalMs);
    }
    this.lateness.splice(0, this.lateness.length - this.mostRemembered);
    if (this.delayMs === null) {
      this.delayMs = this.wantedMs;
      this.lastMs = nowMs;
    }
  }

  /** The instant whose face is to be shown; null while there is none. */
  position(nowMs: number): number | null {
    if (this.delayMs === null) return null;
    const elapsedMs = Math.max(0, nowMs - this.lastMs);
    const change = this.wantedMs - this.delayMs;
    this.delayMs += Math.min(Math.max(change, -SHRINKING * elapsedMs), GROWTH * elapsedMs);
    this.lastMs = nowMs;
    return nowMs - this.delayMs;
  }

  private get wantedMs(): number {
    return this.arrivalMs + MARGIN_MS;
  }
}
