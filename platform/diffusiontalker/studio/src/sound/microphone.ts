/** A microphone that is open: pieces of sound with their place in time, and how loud it is. */

import { signal } from "@preact/signals";

import { SoundError } from "./sound";

export interface Piece {
  /** Number of the first sample since the audio context began. */
  readonly firstSample: number;
  readonly samples: Float32Array;
}

export interface Device {
  readonly id: string;
  readonly label: string;
}

/** How fast the level falls after a loud moment: by half in so many seconds. */
const LEVEL_HALF_LIFE_S = 0.15;
/** How long a microphone may take to give its first sound. */
const PATIENCE_MS = 8000;

export class Microphone {
  /** The loudest sample of late, 0 to 1. */
  readonly level = signal(0);
  onPiece: ((piece: Piece) => void) | null = null;
  /** Called when the microphone is taken away while it is open. */
  onLost: ((error: SoundError) => void) | null = null;

  private constructor(
    readonly context: AudioContext,
    /** For whoever wants to hear it. */
    readonly source: MediaStreamAudioSourceNode,
    private readonly track: MediaStreamTrack,
    capture: AudioWorkletNode,
  ) {
    capture.port.onmessage = ({ data }: MessageEvent<Piece>) => {
      this.level.value = nextLevel(this.level.value, data.samples, context.sampleRate);
      this.onPiece?.(data);
    };
    track.onended = () =>
      this.onLost?.(new SoundError("the microphone was unplugged or switched off; connect it and start again"));
  }

  /**
   * Opens a microphone, the browser's choice unless a device is named, without the processing that calls need: the
   * face should move as the sound is.
   *
   * @param sampleRateHz what the sound should have, where the browser can change it; else it has the device's.
   * @throws SoundError in words.
   */
  static async open(deviceId = "", sampleRateHz?: number): Promise<Microphone> {
    const stream = await asked({
      audio: {
        deviceId: deviceId ? { exact: deviceId } : undefined,
        channelCount: 1,
        echoCancellation: false,
        noiseSuppression: false,
        autoGainControl: false,
      },
    });
    const { context, source } = heard(stream, sampleRateHz);
    try {
      await context.audioWorklet.addModule(new URL("./capture.worklet.js", import.meta.url));
      await context.resume();
      const capture = new AudioWorkletNode(context, "capture", {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: "explicit",
      });
      source.connect(capture);
      await firstMessage(capture.port);
      return new Microphone(context, source, stream.getAudioTracks()[0]!, capture);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      if (error instanceof SoundError) throw error;
      throw new SoundError(`the microphone cannot be heard: ${String(error)}; reload the page`);
    }
  }

  async close(): Promise<void> {
    this.onPiece = this.onLost = null;
    this.level.value = 0;
    this.track.stop();
    if (this.context.state !== "closed") await this.context.close();
  }
}

/** The microphones that there are; their names are empty until one has been allowed. */
export async function microphones(): Promise<Device[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices
    .filter(({ kind }) => kind === "audioinput")
    .map(({ deviceId, label }, index) => ({ id: deviceId, label: label || `Microphone ${index + 1}` }));
}

/** A level that jumps up at once and falls slowly. */
export function nextLevel(level: number, samples: Float32Array, sampleRateHz: number): number {
  const fallen = level * 0.5 ** (samples.length / sampleRateHz / LEVEL_HALF_LIFE_S);
  return samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), Math.min(fallen, 1));
}

/** What a refusal of `getUserMedia` means, by the name of its error. */
export function microphoneProblem(errorName: string): string {
  switch (errorName) {
    case "NotAllowedError":
    case "SecurityError":
      return "the microphone was refused; allow it for this page in the address bar, then try again";
    case "NotFoundError":
      return "no microphone was found; connect one, or drop a file";
    case "OverconstrainedError":
      return "the chosen microphone is gone; choose another one";
    case "NotReadableError":
    case "AbortError":
      return "the microphone cannot be opened, perhaps because another program uses it; close that and try again";
    default:
      return `the microphone cannot be opened (${errorName}); try again, or drop a file`;
  }
}

/** Until sound comes: a microphone that is open may need a while. */
function firstMessage(port: MessagePort): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new SoundError("the microphone gives no sound; choose another one, or connect it again")),
      PATIENCE_MS,
    );
    port.onmessage = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

/** A context that hears a stream. Firefox hears microphones at their own rate alone. */
function heard(stream: MediaStream, sampleRateHz?: number) {
  const context = new AudioContext({ latencyHint: "interactive", sampleRate: sampleRateHz });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch (error) {
    void context.close();
    if (sampleRateHz !== undefined) return heard(stream);
    stream.getTracks().forEach((track) => track.stop());
    throw new SoundError(`the microphone cannot be heard: ${String(error)}; choose another one`);
  }
}

async function asked(constraints: MediaStreamConstraints): Promise<MediaStream> {
  if (!navigator.mediaDevices) {
    throw new SoundError("browsers give the microphone to pages at https:// and at localhost alone; open this page so");
  }
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new SoundError(microphoneProblem(error instanceof Error ? error.name : String(error)));
  }
}
