/** Motion of a face: ARKit coefficients by name, frame by frame. */

export interface Motion {
  /** Frames per second; frame `i` is valid at `i / fps` seconds. */
  readonly fps: number;
  /** One per channel; never rely on an order. */
  readonly names: readonly string[];
  readonly numFrames: number;
  /** Frame by frame, `numFrames * names.length` values in [0, 1]. */
  readonly weights: Float32Array;
}

/** A file that cannot be shown; the message says which, where in it, what was found and what to do. */
export class MotionError extends Error {
  override readonly name = "MotionError";
}

/** Seconds from the first frame to the end of the last one. */
export function durationS(motion: Motion): number {
  return motion.numFrames / motion.fps;
}

/** One channel over time; null when the motion has none of that name. */
export function column(motion: Motion, name: string): Float32Array | null {
  const channel = motion.names.indexOf(name);
  if (channel < 0) return null;
  const values = new Float32Array(motion.numFrames);
  for (let frame = 0; frame < motion.numFrames; frame++) {
    values[frame] = motion.weights[frame * motion.names.length + channel]!;
  }
  return values;
}

/** Writes the weights at an instant into `out` (one per channel), between frames linearly, beyond the ends held. */
export function sampleInto(out: Float32Array, motion: Motion, timeS: number): void {
  const channels = motion.names.length;
  const position = Math.min(Math.max(timeS * motion.fps, 0), Math.max(motion.numFrames - 1, 0));
  const before = Math.floor(position);
  const after = Math.min(before + 1, motion.numFrames - 1);
  const share = position - before;
  for (let channel = 0; channel < channels; channel++) {
    const first = motion.weights[before * channels + channel] ?? 0;
    const second = motion.weights[after * channels + channel] ?? first;
    out[channel] = first + (second - first) * share;
  }
}
