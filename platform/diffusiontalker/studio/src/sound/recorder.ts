/** A take from the microphone, from start to stop. */

import { signal } from "@preact/signals";

import { Microphone } from "./microphone";
import type { SoundError } from "./sound";
import { toInt16, wavOf } from "./wav";

export class Recorder {
  readonly isRecording = signal(false);
  readonly durationS = signal(0);
  /** The loudest sample of late, 0 to 1. */
  readonly level = signal(0);
  /** Called when recording ends by itself: the longest time is over (null), or the microphone is gone. */
  onEnd: ((error: SoundError | null) => void) | null = null;

  private microphone: Microphone | null = null;
  private pieces: Int16Array[] = [];
  private sampleRateHz = 0;

  /** @param maxSeconds the longest take. */
  constructor(private readonly maxSeconds: number) {}

  /** @throws SoundError when there is no microphone to record from. */
  async start(deviceId = ""): Promise<void> {
    const microphone = await Microphone.open(deviceId);
    this.microphone = microphone;
    this.sampleRateHz = microphone.context.sampleRate;
    this.pieces = [];
    this.durationS.value = 0;
    let numSamples = 0;
    microphone.onPiece = ({ samples }) => {
      this.pieces.push(toInt16(samples));
      numSamples += samples.length;
      this.durationS.value = numSamples / this.sampleRateHz;
      this.level.value = microphone.level.value;
      if (this.durationS.value + samples.length / this.sampleRateHz > this.maxSeconds) this.endAlone(null);
    };
    microphone.onLost = (error) => this.endAlone(error);
    this.isRecording.value = true;
  }

  /** What was recorded, as a WAV file; null when nothing was. Also after recording has ended by itself. */
  async stop(): Promise<File | null> {
    await this.close();
    const pieces = this.pieces;
    this.pieces = [];
    return pieces.length ? wavOf(pieces, this.sampleRateHz) : null;
  }

  private endAlone(error: SoundError | null): void {
    void this.close();
    this.onEnd?.(error);
  }

  private async close(): Promise<void> {
    const microphone = this.microphone;
    this.microphone = null;
    this.isRecording.value = false;
    this.level.value = 0;
    await microphone?.close();
  }
}
