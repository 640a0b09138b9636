/** The median of the last measurements, without memory that grows. */
const KEPT = 120;

export class Stopwatch {
  private readonly values = new Float64Array(KEPT);
  private count = 0;

  add(milliseconds: number): void {
    this.values[this.count++ % KEPT] = milliseconds;
  }

  /** 0 before the first measurement. */
  get medianMs(): number {
    const sorted = this.values.slice(0, Math.min(this.count, KEPT)).sort();
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }
}
