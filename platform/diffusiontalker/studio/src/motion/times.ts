/** From the times of frames to a frame rate, and from recordings with dropped frames to an even grid; as the platform's
 * `face/readers/timestamps.py`. */

import { MotionError } from "./motion";

/** Longest gap in a recording that is filled, in seconds: a blink lasts about this long. */
const MAX_GAP_S = 0.25;
/** Largest deviation of a step from the average one, as a share of it, that still counts as even. */
const UNEVEN = 0.25;
/** Rates this close to a whole number are that number; 29.97 and its relatives are twice as far away. */
const WHOLE_RATE = 5e-4;
/** The same where times waver. */
const WAVERING_RATE = 0.02;
const LOWEST_RATE = 1;
const HIGHEST_RATE = 1000;
/** Deviation from the grid, in frames, up to which a frame counts as being on it. */
const JITTER = 0.1;

type PlaceOf = (frame: number) => string;

/** Rate of evenly spaced times; null for a single frame, which has none. @throws MotionError */
export function evenRate(timesS: Float64Array, place: string, name: string, placeOf: PlaceOf): number | null {
  checkFinite(timesS, place, name, placeOf);
  if (timesS.length < 2) return null;
  const step = (timesS.at(-1)! - timesS[0]!) / (timesS.length - 1);
  for (let frame = 1; frame < timesS.length; frame++) {
    const difference = timesS[frame]! - timesS[frame - 1]!;
    if (step > 0 && Math.abs(difference - step) <= UNEVEN * step) continue;
    throw new MotionError(
      `${place}: ${name} steps from ${short(timesS[frame - 1]!)} to ${short(timesS[frame]!)} s at ${placeOf(frame)}, ` +
        `expected even, growing steps (here ${short(step)} s on average); resample the clip to a fixed rate`,
    );
  }
  return tidy(1 / step, WHOLE_RATE);
}

/**
 * The frames of a recording on an even grid from its first frame on; dropped ones are interpolated linearly. Frames
 * that all lie on the grid keep their values exactly; where they waver, all are interpolated onto it.
 *
 * @throws MotionError for times that do not grow or are not in seconds, and for a gap that is too long.
 */
export function onEvenFrames(
  columns: readonly Float64Array[],
  timesS: Float64Array,
  place: string,
  placeOf: PlaceOf,
): { columns: Float64Array[]; fps: number; note: string | null } {
  checkFinite(timesS, place, "its time", placeOf);
  const steps = timesS.slice(1).map((time, index) => time - timesS[index]!);
  const backwards = steps.findIndex((step) => step <= 0);
  if (backwards >= 0) {
    throw new MotionError(
      `${place}: time goes from ${timesS[backwards]!.toFixed(4)} to ${timesS[backwards + 1]!.toFixed(4)} s at ` +
        `${placeOf(backwards + 1)}, expected growing times; sort the rows or keep one take per file`,
    );
  }
  const fps = typicalRate(timesS, steps);
  if (fps < LOWEST_RATE || fps > HIGHEST_RATE) {
    throw new MotionError(
      `${place}: its frames are ${short(1 / fps)} s apart, that is ${short(fps)} fps, expected ${LOWEST_RATE} to ` +
        `${HIGHEST_RATE} fps; are its times in seconds?`,
    );
  }
  const note = gapNote(steps, fps, place, placeOf);
  const positions = timesS.map((time) => (time - timesS[0]!) * fps);
  const nearest = positions.map(Math.round);
  const isSteady = positions.every(
    (position, index) =>
      Math.abs(position - nearest[index]!) <= JITTER && (index === 0 || nearest[index]! > nearest[index - 1]!),
  );
  const known = isSteady ? nearest : positions;
  const numFrames = nearest.at(-1)! + 1;
  return { columns: columns.map((column) => interpolated(column, known, numFrames)), fps, note };
}

/** What was filled; null when nothing had to be. */
function gapNote(steps: Float64Array, fps: number, place: string, placeOf: PlaceOf): string | null {
  let total = 0;
  let gaps = 0;
  let longest = 0;
  steps.forEach((step, index) => {
    const missing = Math.round(step * fps) - 1;
    if (missing <= 0) return;
    total += missing;
    gaps++;
    if (step > steps[longest]!) longest = index;
  });
  if (!gaps) return null;
  const missing = Math.round(steps[longest]! * fps) - 1;
  const where = `before ${placeOf(longest + 1)}`;
  if (missing / fps > MAX_GAP_S) {
    throw new MotionError(
      `${place}: ${missing} frames (${(missing / fps).toFixed(2)} s) are missing ${where}, at most ${MAX_GAP_S} s are ` +
        "filled; cut the recording there",
    );
  }
  return (
    `${place}: dropped frames were filled by interpolation: ${total} in all, gaps: ${gaps}, the longest ` +
    `${(missing / fps).toFixed(2)} s ${where}`
  );
}

/** Rate of the frames that follow each other without a gap; where times waver a whole number if one is near. */
function typicalRate(timesS: Float64Array, steps: Float64Array): number {
  const middle = median(steps);
  const single = steps.filter((step) => step < 1.5 * middle);
  const rate = single.length / single.reduce((sum, step) => sum + step, 0);
  const frames = steps.map((step) => Math.max(Math.round(step * rate), 1));
  if (steps.some((step, index) => Math.abs(step * rate - frames[index]!) > JITTER)) return tidy(rate, WAVERING_RATE);
  return tidy(frames.reduce((sum, count) => sum + count, 0) / (timesS.at(-1)! - timesS[0]!), WHOLE_RATE);
}

function interpolated(column: Float64Array, positions: Float64Array, numFrames: number): Float64Array {
  const values = new Float64Array(numFrames);
  let after = 0;
  for (let frame = 0; frame < numFrames; frame++) {
    while (after < positions.length - 1 && positions[after]! < frame) after++;
    const before = Math.max(after - 1, 0);
    const span = positions[after]! - positions[before]!;
    const share = span > 0 ? Math.min(Math.max((frame - positions[before]!) / span, 0), 1) : 0;
    values[frame] = share === 1 ? column[after]! : column[before]! + share * (column[after]! - column[before]!);
  }
  return values;
}

function median(values: Float64Array): number {
  const sorted = values.toSorted();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function tidy(rate: number, tolerance: number): number {
  return Math.abs(rate - Math.round(rate)) < tolerance * rate ? Math.round(rate) : rate;
}

function checkFinite(timesS: Float64Array, place: string, name: string, placeOf: PlaceOf): void {
  const frame = timesS.findIndex((time) => !Number.isFinite(time));
  if (frame < 0) return;
  throw new MotionError(`${place}: ${name} is ${timesS[frame]} in ${placeOf(frame)}; expected seconds`);
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}
