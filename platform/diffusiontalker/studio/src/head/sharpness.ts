/**
 * How sharply moving heads are drawn: on machines that are too slow for every pixel, fewer pixels and shadows that stay
 * as they were, so that the face still moves with the sound. What stands still is always drawn with all of it.
 */

/** Pictures that are looked at before anything changes. */
const LOOKED_AT = 8;
/** Slower than 25 a second. */
const SLOW_MS = 40;
const STEP = 0.7;
const LEAST = 0.35;

export class Sharpness {
  /** Share of the pixels of a line that are drawn. */
  share = 1;
  private intervals: number[] = [];

  /** A picture came so long after the one before. @returns whether the share has changed. */
  note(intervalMs: number): boolean {
    if (this.intervals.push(intervalMs) < LOOKED_AT) return false;
    const median = this.intervals.sort((one, other) => one - other)[LOOKED_AT / 2]!;
    this.intervals = [];
    if (median < SLOW_MS || this.share <= LEAST) return false;
    this.share = Math.max(LEAST, this.share * STEP);
    return true;
  }
}
