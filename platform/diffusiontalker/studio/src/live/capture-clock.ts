/**
 * When sound was recorded, on the page's clock.
 *
 * The audio thread counts samples and knows no other time; its messages reach the page some milliseconds later, never
 * earlier. So the soonest of the last seconds tells how the two clocks stand to each other. Knows no browser.
 */

/** How long a message counts. Clocks drift apart, and a sound card that stumbles shifts them. */
const WINDOW_MS = 2000;

export class CaptureClock {
  /** Page's time minus audio thread's, in milliseconds: the least of the current window and of the one before. */
  private least = Infinity;
  private leastBefore = Infinity;
  private windowEndMs = -Infinity;

  /** A message came at `nowMs` about sound up to `soundMs` on the audio thread's clock. */
  note(soundMs: number, nowMs: number): void {
    if (nowMs > this.windowEndMs) {
      this.leastBefore = this.least;
      this.least = Infinity;
      this.windowEndMs = nowMs + WINDOW_MS;
    }
    this.least = Math.min(this.least, nowMs - soundMs);
  }

  /** The page's time when the sound at `soundMs` was recorded. */
  pageMs(soundMs: number): number {
    return soundMs + Math.min(this.least, this.leastBefore);
  }
}
