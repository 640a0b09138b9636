/** What a waveform's picture shows: the lowest and highest sample of each column of pixels. */

export interface Peaks {
  readonly low: Float32Array;
  readonly high: Float32Array;
}

/** Every sample counts in at least one column; where there are more columns than samples, neighbours share them. */
export function peaksOf(samples: Float32Array, numColumns: number): Peaks {
  const low = new Float32Array(numColumns);
  const high = new Float32Array(numColumns);
  if (!samples.length) return { low, high };
  for (let column = 0; column < numColumns; column++) {
    const begin = Math.floor((column * samples.length) / numColumns);
    const end = Math.max(Math.floor(((column + 1) * samples.length) / numColumns), begin + 1);
    let lowest = samples[begin]!;
    let highest = lowest;
    for (let index = begin + 1; index < end; index++) {
      const sample = samples[index]!;
      if (sample < lowest) lowest = sample;
      if (sample > highest) highest = sample;
    }
    low[column] = lowest;
    high[column] = highest;
  }
  return { low, high };
}
