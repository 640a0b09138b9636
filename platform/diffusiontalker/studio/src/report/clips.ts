/** The clips inside a report, as `evaluation/played_clips.py` writes them. */

import type { Motion } from "../motion/motion";

const FORMAT = "diffusiontalker-played-clips";
const VERSION = 1;
const LEVELS = 0xffff;

export interface PlayedClip {
  readonly id: string;
  readonly speaker: string;
  readonly emotion: string;
  /** Where it stands among the clips by lip error: `best`, `median`, `worst`, or its rank. */
  readonly place: string;
  readonly lipErrorMm: number;
  /** FLAC. */
  readonly sound: Blob;
  readonly truth: Motion;
  readonly prediction: Motion;
}

export interface PlayedClips {
  /** Whose predictions they are. */
  readonly system: string;
  /** Channels to draw over time. */
  readonly curves: readonly string[];
  readonly clips: readonly PlayedClip[];
  /** GLB of the head that both faces are shown on, compressed with gzip. */
  readonly head: Uint8Array<ArrayBuffer>;
}

interface WrittenTrack {
  lowest: number[];
  highest: number[];
  steps: string;
}

interface WrittenClip {
  clip_id: string;
  speaker: string;
  emotion: string;
  place: string;
  lip_error_mm: number;
  fps: number;
  frames: number;
  names: string[];
  sound: string;
  truth: WrittenTrack;
  prediction: WrittenTrack;
}

interface Written {
  format: string;
  version: number;
  system: string;
  curves: string[];
  head: string;
  clips: WrittenClip[];
}

/** @throws Error when the text is of another format or version. */
export function readClips(text: string): PlayedClips {
  const written = JSON.parse(text) as Written;
  if (written.format !== FORMAT || written.version !== VERSION) {
    throw new Error(
      `The clips of this report are '${written.format}' in version ${written.version}, but its player reads ` +
        `'${FORMAT}' in version ${VERSION}; make the report again.`,
    );
  }
  return {
    system: written.system,
    curves: written.curves,
    clips: written.clips.map(readClip),
    head: bytesOf(written.head),
  };
}

/** What gzip compressed. */
export function unpacked(compressed: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function readClip(written: WrittenClip): PlayedClip {
  return {
    id: written.clip_id,
    speaker: written.speaker,
    emotion: written.emotion,
    place: written.place,
    lipErrorMm: written.lip_error_mm,
    sound: new Blob([bytesOf(written.sound)], { type: "audio/flac" }),
    truth: motionOf(written, written.truth),
    prediction: motionOf(written, written.prediction),
  };
}

/** 16-bit steps from the lowest to the highest value of each channel, little endian, frame by frame. */
function motionOf({ fps, frames, names }: WrittenClip, { lowest, highest, steps }: WrittenTrack): Motion {
  const view = new DataView(bytesOf(steps).buffer);
  const weights = new Float32Array(frames * names.length);
  for (let index = 0; index < weights.length; index++) {
    const channel = index % names.length;
    const share = view.getUint16(2 * index, true) / LEVELS;
    weights[index] = lowest[channel]! + share * (highest[channel]! - lowest[channel]!);
  }
  return { fps, names, numFrames: frames, weights };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let index = 0; index < letters.length; index++) bytes[index] = letters.charCodeAt(index);
  return bytes;
}
