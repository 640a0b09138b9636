/** A live session: the microphone's sound goes to the endpoint, and the face moves with it, a constant while later. */

import { signal, type ReadonlySignal, type Signal } from "@preact/signals";

import { patiently } from "../endpoint";
import type { Endpoint, EndpointError, Frames, LiveStream, StreamReady, StyleParameters } from "../endpoint";
import type { Motion } from "../motion/motion";
import { Microphone, toInt16 } from "../sound";
import { CaptureClock } from "./capture-clock";
import { Monitor } from "./monitor";
import { Pacer } from "./pacer";
import { LiveTake } from "./take";

/** `ended`: by the user or by an error; what was animated until then is still there for `stop()`. */
export type LiveState = "idle" | "starting" | "live" | "stopping" | "ended";

/** What the time between a sound and its face is made of, in milliseconds. */
export interface LatencyParts {
  /** Sound that the student must hear after an instant before it knows the face of it. */
  readonly lookAheadMs: number;
  /** The way of sound and frames, and computing. */
  readonly networkMs: number;
  /** What is kept in hand, so that the face moves evenly. */
  readonly marginMs: number;
}

/** What students hear. At other rates the endpoint has to wait for its filter: 20 ms, and up to 37 ms at times. */
const HEARD_RATE_HZ = 16_000;
/** How long the last frames may take after the sound has ended. */
const PATIENCE_MS = 10_000;
/** How often the numbers on the page change. */
const TELLING_MS = 250;

export class LiveSession {
  readonly state: Signal<LiveState> = signal("idle");
  /** Measured: when a face was drawn minus when the sound of its instant was recorded. Null while nothing is shown. */
  readonly latencyMs: Signal<number | null> = signal(null);
  readonly latencyParts: Signal<LatencyParts | null> = signal(null);
  /** Why the session ended, in words; null when the user ended it. */
  readonly problem: Signal<string | null> = signal(null);
  /** Seconds until a busy endpoint is asked again; null while nothing is waited for. */
  readonly waitingS: Signal<number | null> = signal(null);
  /** How much sound was sent. */
  readonly durationS: Signal<number> = signal(0);
  /** The loudest sample of late, 0 to 1. */
  readonly level: Signal<number> = signal(0);
  /** Of `weightsAt`; empty until the session is live. */
  names: readonly string[] = [];

  private microphone: Microphone | null = null;
  private monitor: Monitor | null = null;
  private stream: LiveStream | null = null;
  private take: LiveTake | null = null;
  private pacer: Pacer | null = null;
  private lookAheadMs = 0;
  private sampleRateHz = 0;
  private firstSample = 0;
  private readonly clock = new CaptureClock();
  private toldMs = -Infinity;
  private finishing: Promise<void> | null = null;
  private onOver: () => void = () => {};
  private readonly giveUp = new AbortController();

  /**
   * @param style how the face speaks; `voice` absent: as the learnt unknown speaker.
   * @param isMonitoring whether the sound is played back together with the face; needs headphones.
   * @param deviceId of the microphone; empty: the browser's choice.
   */
  constructor(
    private readonly endpoint: Pick<Endpoint, "stream">,
    private readonly style: StyleParameters = {},
    private readonly isMonitoring: ReadonlySignal<boolean> = signal(false),
    private readonly deviceId = "",
  ) {}

  /** Opens microphone and stream. @throws SoundError or EndpointError in words; the session has then ended. */
  async start(): Promise<void> {
    this.state.value = "starting";
    try {
      const microphone = await Microphone.open(this.deviceId, HEARD_RATE_HZ);
      if (this.state.value !== "starting") return await microphone.close(); // stopped meanwhile
      this.microphone = microphone;
      microphone.onLost = (error) => void this.finish(error.message);
      this.sampleRateHz = microphone.context.sampleRate;
      const { fps, names, lookAheadMs } = await this.openStream();
      this.names = names;
      this.lookAheadMs = lookAheadMs;
      this.take = new LiveTake(fps, names, this.sampleRateHz);
      this.pacer = new Pacer(fps);
      this.stream!.onFrames = (frames) => this.onFrames(frames);
      this.stream!.onEnd = (error) => this.onStreamEnd(error);
      this.monitor = new Monitor(microphone);
      microphone.onPiece = ({ firstSample, samples }) => this.onPiece(firstSample, samples);
      this.state.value = "live";
    } catch (error) {
      if (this.state.value !== "starting") return; // stopped meanwhile
      this.end(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /**
   * Ends the sound, waits for the last frames, and hands over what was heard and animated: frame `i` belongs to
   * `i / fps` seconds of the sound. Null when nothing was. Also after the session has ended by itself.
   */
  async stop(): Promise<{ motion: Motion; sound: File } | null> {
    await this.finish(null);
    const motion = this.take?.motion();
    return motion ? { motion, sound: this.take!.sound() } : null;
  }

  /** Writes the weights to show at an instant of `performance.now()`; false while there is nothing to show. */
  weightsAt(nowMs: number, out: Float32Array): boolean {
    const { take, pacer } = this;
    if (!take?.numFrames || !pacer || !this.isMoving) return false;
    const sinceMs = this.sinceMs(nowMs);
    const dueMs = pacer.position(sinceMs)!;
    const frame = pacer.frameAt(dueMs);
    const newest = take.numFrames - 1;
    take.sample(out, frame);
    const shownMs = frame <= newest ? dueMs : (1000 * newest) / take.fps;
    if (nowMs - this.toldMs >= TELLING_MS) this.tell(nowMs, sinceMs - shownMs, pacer);
    return true;
  }

  private onPiece(firstSample: number, samples: Float32Array): void {
    const { take, stream, microphone } = this;
    if (!take || !stream || !microphone) return;
    if (!take.durationS) this.firstSample = firstSample;
    this.clock.note((1000 * (firstSample + samples.length)) / this.sampleRateHz, performance.now());
    const integers = toInt16(samples);
    take.hear(integers);
    stream.send(integers);
    this.durationS.value = take.durationS;
    this.level.value = microphone.level.value;
  }

  private onFrames(frames: Frames): void {
    this.take!.add(frames);
    if (this.isMoving) this.pacer!.note(frames.firstFrame, frames.numFrames, this.sinceMs(performance.now()));
  }

  private onStreamEnd(error: EndpointError | null): void {
    if (this.state.value === "stopping") this.onOver();
    if (error) this.end(error.message);
  }

  private get isMoving(): boolean {
    return this.state.value === "live" || this.state.value === "stopping";
  }

  /** Time since the sound began to be recorded. */
  private sinceMs(nowMs: number): number {
    return nowMs - this.clock.pageMs((1000 * this.firstSample) / this.sampleRateHz);
  }

  private tell(nowMs: number, latencyMs: number, pacer: Pacer): void {
    this.toldMs = nowMs;
    this.latencyMs.value = latencyMs;
    const { lookAheadMs } = this;
    this.latencyParts.value = { lookAheadMs, networkMs: pacer.arrivalMs - lookAheadMs, marginMs: pacer.marginMs };
    if (!this.microphone) return;
    this.monitor!.isAudible = this.isMonitoring.value;
    this.monitor!.follow(pacer.delayMs!);
  }

  /** A stream that is ready; a busy endpoint is waited for. */
  private openStream(): Promise<StreamReady> {
    return patiently(
      () => {
        this.waitingS.value = null;
        this.stream = this.endpoint.stream({ ...this.style, sampleRateHz: this.sampleRateHz });
        return this.stream.ready;
      },
      { signal: this.giveUp.signal, onWait: (seconds) => (this.waitingS.value = seconds) },
    );
  }

  /** Ends the sound and then, when the last frames have come, everything. */
  private async finish(problem: string | null): Promise<void> {
    if (this.state.value === "live") {
      this.state.value = "stopping";
      this.finishing = this.lastFrames();
    }
    await this.finishing;
    this.end(problem);
  }

  /** Until the endpoint has sent everything; not for ever. It may be over before the microphone is closed. */
  private async lastFrames(): Promise<void> {
    const over = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      this.onOver = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    await this.closeMicrophone();
    this.stream!.end();
    await over;
  }

  private end(problem: string | null): void {
    if (this.state.value === "ended") return;
    this.state.value = "ended";
    this.problem.value = problem;
    this.latencyMs.value = this.latencyParts.value = this.waitingS.value = null;
    this.giveUp.abort();
    this.stream?.close();
    void this.closeMicrophone();
  }

  private async closeMicrophone(): Promise<void> {
    const microphone = this.microphone;
    this.microphone = null;
    this.level.value = 0;
    await microphone?.close();
  }
}
