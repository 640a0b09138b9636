/** A sound that somebody gave: what is drawn, what is played and what the endpoint gets. */

import type { Limits } from "../endpoint/types";
import { readableKind } from "./kinds";
import { toInt16, wavOf } from "./wav";

/** Decoding at this rate loses nothing that speech has, and is the same on every machine. */
const DECODED_RATE_HZ = 48_000;
/** A browser decodes a file as a whole; beyond this a tab may run out of memory. */
const MOST_DECODED_BYTES = 512e6;
/** Above this, a file is asked how long it is before it is decoded: an hour of mp3 takes a gigabyte. */
const LARGE_BYTES = 8e6;
/** What a file says of itself may be a guess, so only what is far beyond the limit is refused by it. */
const SURELY_TOO_LONG = 2;
const SAYING_MS = 3000;
/** The loudest sample of a recording in which nobody speaks: -60 dB. */
const SILENT_PEAK = 1e-3;

export class SoundError extends Error {
  override readonly name = "SoundError";
}

export interface Sound {
  readonly name: string;
  readonly durationS: number;
  /** Mono, for drawing. */
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
  /** What the endpoint gets: the file itself where it can read it. */
  readonly upload: File;
  /** What an audio element plays, and jumps to any place of. */
  readonly playback: Blob;
}

/**
 * The sound of a file of any kind that the browser can decode, also of a video.
 *
 * @throws SoundError in words: what was given, what is allowed, what to do next.
 */
export async function soundOf(file: File, limits: Limits): Promise<Sound> {
  if (!file.size) throw new SoundError(`${file.name} is empty (0 bytes); choose another file`);
  if (file.size > MOST_DECODED_BYTES) {
    throw new SoundError(
      `${file.name} has ${megabytes(file.size)}, at most ${megabytes(MOST_DECODED_BYTES)} can be opened here; ` +
        "save its sound alone, or cut it",
    );
  }
  const saidS = file.size > LARGE_BYTES ? await saidDuration(file) : null;
  if (saidS !== null && saidS > SURELY_TOO_LONG * limits.maxSeconds)
    throw new SoundError(tooLong(file.name, saidS, limits));
  const bytes = await file.arrayBuffer();
  const kind = readableKind(new Uint8Array(bytes, 0, Math.min(bytes.byteLength, 64)));
  const { samples, sampleRateHz } = await decoded(file.name, bytes);
  const isSent = kind !== null && file.size <= limits.maxUploadBytes;
  const isPlayed = kind === "wav" || kind === "flac"; // others are not cut at exact samples by every player
  const wav =
    isSent && isPlayed ? null : wavOf([toInt16(samples)], sampleRateHz, `${file.name.replace(/\.\w+$/, "")}.wav`);
  const sound: Sound = {
    name: file.name,
    durationS: samples.length / sampleRateHz,
    samples,
    sampleRateHz,
    upload: isSent ? file : wav!,
    playback: isPlayed ? file : wav!,
  };
  const problem = soundProblem(sound, limits);
  if (problem) throw new SoundError(problem);
  return sound;
}

/** What keeps a sound from being animated, in words; null when nothing does. */
export function soundProblem(
  sound: Pick<Sound, "name" | "durationS" | "samples" | "upload">,
  limits: Limits,
): string | null {
  const { name, durationS, samples, upload } = sound;
  if (durationS > limits.maxSeconds) return tooLong(name, durationS, limits);
  if (durationS < limits.minSeconds) {
    return `${name} lasts ${seconds(durationS)}, at least ${seconds(limits.minSeconds)} are needed; choose a longer one`;
  }
  if (upload.size > limits.maxUploadBytes) {
    return `${name} has ${megabytes(upload.size)}, at most ${megabytes(limits.maxUploadBytes)} are taken; cut it`;
  }
  if (!samples.some((sample) => Math.abs(sample) > SILENT_PEAK)) {
    return `${name} is silent; choose another file, or check the microphone and record again`;
  }
  return null;
}

async function decoded(name: string, bytes: ArrayBuffer): Promise<{ samples: Float32Array; sampleRateHz: number }> {
  const context = new OfflineAudioContext(1, 1, DECODED_RATE_HZ);
  let buffer: AudioBuffer;
  try {
    buffer = await context.decodeAudioData(bytes);
  } catch {
    throw new SoundError(
      `${name} holds no sound that this browser can decode; choose a wav, flac, ogg, mp3 or m4a file, or a video with ` +
        "sound",
    );
  }
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  return { samples: mixedDown(channels), sampleRateHz: buffer.sampleRate };
}

/** How long a file says that it is, in seconds; null where it does not say so soon. */
function saidDuration(file: Blob): Promise<number | null> {
  const url = URL.createObjectURL(file);
  const element = new Audio();
  const said = new Promise<number | null>((resolve) => {
    element.onloadedmetadata = () => resolve(Number.isFinite(element.duration) ? element.duration : null);
    element.onerror = () => resolve(null);
    setTimeout(() => resolve(null), SAYING_MS);
    element.preload = "metadata";
    element.src = url;
  });
  return said.finally(() => {
    element.removeAttribute("src");
    URL.revokeObjectURL(url);
  });
}

function tooLong(name: string, durationS: number, { maxSeconds }: Limits): string {
  return `${name} lasts ${seconds(durationS)}, at most ${seconds(maxSeconds)} are animated at once; cut it`;
}

/** The average of all channels, as the endpoint takes it. */
export function mixedDown(channels: readonly Float32Array[]): Float32Array {
  const [first, ...others] = channels;
  if (!others.length) return first!;
  return first!.map((sample, index) => others.reduce((sum, other) => sum + other[index]!, sample) / channels.length);
}

function seconds(value: number): string {
  return `${Number(value.toFixed(value < 10 ? 2 : 0))} s`;
}

function megabytes(bytes: number): string {
  return `${Number((bytes / 1e6).toFixed(1))} MB`;
}
