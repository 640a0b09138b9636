/** Two motions side by side: their difference over time, and how far apart they are. */

import { column, durationS, sampleInto, type Motion } from "./motion";

export interface Figures {
  /** Mean absolute difference. */
  readonly meanError: number;
  readonly largestError: number;
  /** Of Pearson, -1 to 1; null when one of the two does not move. */
  readonly correlation: number | null;
}

/** A motion at another rate, between frames linearly; of the names given, those it lacks are 0. */
export function resampled(motion: Motion, fps: number, names: readonly string[] = motion.names): Motion {
  const numFrames = Math.max(1, Math.round(durationS(motion) * fps));
  const weights = new Float32Array(numFrames * names.length);
  const sampled = new Float32Array(motion.names.length);
  const sources = names.map((name) => motion.names.indexOf(name));
  for (let frame = 0; frame < numFrames; frame++) {
    sampleInto(sampled, motion, frame / fps);
    sources.forEach((source, channel) => {
      if (source >= 0) weights[frame * names.length + channel] = sampled[source]!;
    });
  }
  return { fps, names, numFrames, weights };
}

/**
 * `other` minus `one`, of the channels that both have, for as long as both last, at the higher of their rates.
 * Null when they have no channel in common.
 */
export function difference(one: Motion, other: Motion): Motion | null {
  const names = one.names.filter((name) => other.names.includes(name));
  if (!names.length || !one.numFrames || !other.numFrames) return null;
  const fps = Math.max(one.fps, other.fps);
  const first = resampled(one, fps, names);
  const second = resampled(other, fps, names);
  const numFrames = Math.min(first.numFrames, second.numFrames);
  const weights = second.weights
    .subarray(0, numFrames * names.length)
    .map((weight, index) => weight - first.weights[index]!);
  return { fps, names, numFrames, weights };
}

/** How far apart two motions are in one channel; null when one of them lacks it. */
export function figures(one: Motion, other: Motion, name: string): Figures | null {
  const fps = Math.max(one.fps, other.fps);
  const first = column(resampled(one, fps, [name]), name)!;
  const second = column(resampled(other, fps, [name]), name)!;
  if (!one.names.includes(name) || !other.names.includes(name) || !one.numFrames || !other.numFrames) return null;
  const numFrames = Math.min(first.length, second.length);
  let sum = 0;
  let largest = 0;
  for (let frame = 0; frame < numFrames; frame++) {
    const error = Math.abs(second[frame]! - first[frame]!);
    sum += error;
    largest = Math.max(largest, error);
  }
  const correlated = correlation(first.subarray(0, numFrames), second.subarray(0, numFrames));
  return { meanError: sum / numFrames, largestError: largest, correlation: correlated };
}

/** Of Pearson; null when one of the two is constant. */
export function correlation(one: Float32Array, other: Float32Array): number | null {
  const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanOne, meanOther] = [mean(one), mean(other)];
  let together = 0;
  let ofOne = 0;
  let ofOther = 0;
  for (let index = 0; index < one.length; index++) {
    const [a, b] = [one[index]! - meanOne, other[index]! - meanOther];
    together += a * b;
    ofOne += a * a;
    ofOther += b * b;
  }
  return ofOne > 1e-12 && ofOther > 1e-12 ? together / Math.sqrt(ofOne * ofOther) : null;
}
