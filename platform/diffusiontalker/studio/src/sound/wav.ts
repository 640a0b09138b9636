/** Sound as 16 bit PCM, and as a WAV file of it. */

const HEADER_BYTES = 44;

/** Samples in [-1, 1] as 16 bit integers; what is beyond is clipped. */
export function toInt16(samples: Float32Array): Int16Array<ArrayBuffer> {
  const integers = new Int16Array(samples.length);
  for (let index = 0; index < samples.length; index++) {
    const scaled = Math.round(samples[index]! * 32768);
    integers[index] = Math.min(Math.max(scaled, -32768), 32767);
  }
  return integers;
}

/** A WAV file with one channel, from pieces of 16 bit samples that follow each other. */
export function wavOf(pieces: readonly Int16Array[], sampleRateHz: number, name = "recording.wav"): File {
  const numSamples = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * numSamples));
  const text = (at: number, letters: string): void => {
    for (let index = 0; index < letters.length; index++) view.setUint8(at + index, letters.charCodeAt(index));
  };
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + 2 * numSamples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of what follows
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, 2 * sampleRateHz, true);
  view.setUint16(32, 2, true); // bytes of one sample
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * numSamples, true);
  let at = HEADER_BYTES;
  for (const piece of pieces) for (const sample of piece) (view.setInt16(at, sample, true), (at += 2));
  return new File([view.buffer], name, { type: "audio/wav" });
}
