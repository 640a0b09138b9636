/** The one clock of what is played: an audio element, or, for motion without sound, time itself. */

import { signal } from "@preact/signals";

import { SmoothClock } from "./clock";

export class Player {
  /** For what need not be exact: updated once per picture while playing. */
  readonly timeS = signal(0);
  readonly durationS = signal(0);
  readonly isPlaying = signal(false);
  readonly speed = signal(1);
  readonly isLooping = signal(false);

  private readonly element = new Audio();
  private readonly clock = new SmoothClock();
  private url: string | null = null;
  private frame = 0;
  private readonly unsubscribe: () => void;

  constructor() {
    this.element.preload = "auto";
    this.element.preservesPitch = true;
    this.element.addEventListener("ended", () => this.onEnd());
    this.unsubscribe = this.speed.subscribe((speed) => {
      this.clock.jump(this.now(), performance.now());
      this.clock.speed = speed;
      this.element.playbackRate = this.element.defaultPlaybackRate = speed;
    });
  }

  /** Another sound, or none, and how long it is played; from its begin, paused. */
  load(sound: Blob | null, durationS: number): void {
    this.pause();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = sound ? URL.createObjectURL(sound) : null;
    if (this.url) this.element.src = this.url;
    else this.element.removeAttribute("src");
    this.element.load();
    this.durationS.value = durationS;
    this.seek(0);
  }

  /** Plays on, from the begin when it stands at the end. @throws Error when the browser cannot play the sound. */
  async play(): Promise<void> {
    if (this.isPlaying.value || !this.durationS.value) return;
    if (this.now() >= this.durationS.value - 1e-3) this.seek(0);
    this.isPlaying.value = true;
    this.clock.jump(this.timeS.value, performance.now());
    this.tick();
    if (!this.hasSoundAt(this.timeS.value)) return;
    try {
      await this.element.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return; // paused before it began
      this.pause();
      throw new Error(`the sound cannot be played: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  pause(): void {
    if (!this.isPlaying.value) return;
    const timeS = this.now();
    this.isPlaying.value = false;
    cancelAnimationFrame(this.frame);
    this.element.pause();
    this.timeS.value = timeS;
  }

  seek(timeS: number): void {
    const within = Math.min(Math.max(timeS, 0), this.durationS.value);
    this.timeS.value = within;
    this.clock.jump(within, performance.now());
    if (!this.url) return;
    this.element.currentTime = within;
    if (!this.isPlaying.value || !this.element.paused || !this.hasSoundAt(within)) return;
    this.element.play().catch(() => {}); // paused again before it began; that it cannot be played was told before
  }

  /** Where playing is, exactly: for each picture. */
  now(): number {
    if (!this.isPlaying.value) return this.timeS.value;
    const nowMs = performance.now();
    const isSounding = this.url !== null && !this.element.paused && !this.element.ended;
    const timeS = isSounding ? this.clock.follow(this.element.currentTime, nowMs) : this.clock.at(nowMs);
    return Math.min(timeS, this.durationS.value);
  }

  dispose(): void {
    this.load(null, 0);
    this.unsubscribe();
  }

  private hasSoundAt(timeS: number): boolean {
    return this.url !== null && !(timeS >= this.element.duration);
  }

  private tick = (): void => {
    this.frame = requestAnimationFrame(this.tick);
    this.timeS.value = this.now();
    if (this.timeS.value >= this.durationS.value) this.onEnd();
  };

  private onEnd(): void {
    if (!this.isPlaying.value) return;
    if (this.isLooping.value) this.seek(0);
    else if (this.now() >= this.durationS.value) this.pause();
  }
}
