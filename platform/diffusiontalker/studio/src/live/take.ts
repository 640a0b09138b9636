/** What a live session has heard and animated so far: sound and frames of the same beginning. Knows no browser. */

import { EndpointError, type Frames } from "../endpoint";
import { sampleInto, type Motion } from "../motion/motion";
import { wavOf } from "../sound";

const FIRST_FRAMES = 1024;
/** So many frames may be missing at the end of a sound that was animated to its end: the last sample is in one of them. */
const MOST_MISSING = 2;

export class LiveTake {
  numFrames = 0;
  private numSamples = 0;
  private readonly pieces: Int16Array[] = [];
  /** With room for frames to come. */
  weights: Float32Array;

  constructor(
    readonly fps: number,
    readonly names: readonly string[],
    private readonly sampleRateHz: number,
  ) {
    this.weights = new Float32Array(FIRST_FRAMES * names.length);
  }

  get durationS(): number {
    return this.numSamples / this.sampleRateHz;
  }

  hear(piece: Int16Array): void {
    this.pieces.push(piece);
    this.numSamples += piece.length;
  }

  /** @throws EndpointError when frames are missing. */
  add(frames: Frames): void {
    if (frames.firstFrame !== this.numFrames) {
      throw new EndpointError(
        "internal",
        `frame ${frames.firstFrame} came after ${this.numFrames} frames: some are missing; start again`,
      );
    }
    const channels = this.names.length;
    const needed = (this.numFrames + frames.numFrames) * channels;
    if (needed > this.weights.length) {
      const larger = new Float32Array(Math.max(needed, 2 * this.weights.length));
      larger.set(this.weights);
      this.weights = larger;
    }
    this.weights.set(frames.weights, this.numFrames * channels);
    this.numFrames += frames.numFrames;
  }

  /** Weights of a frame, or between two; the last frame's where later ones have not come. */
  sample(out: Float32Array, frame: number): void {
    sampleInto(out, this, frame / this.fps);
  }

  /** All frames so far; null when there are none. */
  motion(): Motion | null {
    if (!this.numFrames) return null;
    const weights = this.weights.slice(0, this.numFrames * this.names.length);
    return { fps: this.fps, names: this.names, numFrames: this.numFrames, weights };
  }

  /** Without what came after the last frame, where the endpoint ended before the sound did. */
  sound(): File {
    const animated = (this.numFrames / this.fps) * this.sampleRateHz;
    const isCut = this.numSamples > animated + (MOST_MISSING * this.sampleRateHz) / this.fps;
    return wavOf(isCut ? begin(this.pieces, Math.round(animated)) : this.pieces, this.sampleRateHz, "live.wav");
  }
}

function begin(pieces: readonly Int16Array[], numSamples: number): Int16Array[] {
  let left = numSamples;
  return pieces.flatMap((piece) => {
    const kept = piece.subarray(0, left);
    left -= kept.length;
    return kept.length ? [kept] : [];
  });
}
