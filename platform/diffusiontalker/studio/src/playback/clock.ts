/** A steady clock that follows a coarse one. Knows no browser: times are given. */

/** Further off than this, the followed clock has jumped or stalled, and is believed at once. */
const JUMP_S = 0.1;
/** Share of the difference that each new reading corrects. */
const CORRECTION = 0.1;

export class SmoothClock {
  /** Seconds of the clock in one second. */
  speed = 1;

  private timeS = 0;
  private sinceMs = 0;
  private lastReadingS = NaN;

  /** From here on. */
  jump(timeS: number, nowMs: number): void {
    this.timeS = timeS;
    this.sinceMs = nowMs;
    this.lastReadingS = NaN;
  }

  /** The time, if nothing is heard of the followed clock. */
  at(nowMs: number): number {
    return this.timeS + ((nowMs - this.sinceMs) / 1000) * this.speed;
  }

  /** The time, given what the followed clock shows; it may show the same for a while and then the next. */
  follow(readingS: number, nowMs: number): number {
    const timeS = this.at(nowMs);
    const isNew = readingS !== this.lastReadingS;
    this.lastReadingS = readingS;
    const errorS = readingS - timeS;
    if (Math.abs(errorS) > JUMP_S) this.set(readingS, nowMs);
    else if (isNew) this.set(timeS + CORRECTION * errorS, nowMs);
    return this.at(nowMs);
  }

  private set(timeS: number, nowMs: number): void {
    this.timeS = timeS;
    this.sinceMs = nowMs;
  }
}
