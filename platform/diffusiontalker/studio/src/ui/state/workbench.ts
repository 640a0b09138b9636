/** What the page is about: a sound, one or two results, what was chosen, and what plays. Knows nothing of how it looks. */

import { computed, effect, signal, untracked } from "@preact/signals";

import { Endpoint, type Limits } from "../../endpoint";
import type { Stage } from "../../head/stage";
import { durationS, MOTION_SUFFIXES, readMotion, type Motion } from "../../motion";
import { Player } from "../../playback/player";
import { Settings, type TakeSettings } from "../../settings";
import { soundOf, type Sound } from "../../sound";
import { shadeOf, wear } from "../theme";
import { clock, duration, messageOf } from "../words";
import { Catalogue } from "./catalogue";
import { Comparison } from "./comparison";
import { Heads } from "./heads";
import { Live } from "./live";
import { Recording } from "./recording";
import { Take } from "./take";

export type Mode = "recording" | "live";
export type Letter = "a" | "b";

/** Motion from a dropped file. */
export interface Truth {
  readonly name: string;
  readonly motion: Motion;
  /** What to know about how it was read. */
  readonly notes: readonly string[];
}

export class Workbench {
  readonly endpoint = new Endpoint();
  readonly settings = new Settings();
  readonly player = new Player();
  readonly catalogue = new Catalogue(this.endpoint);
  readonly comparison = new Comparison(this.settings, this.catalogue);
  readonly heads = new Heads(new URL("head.glb", document.baseURI).href);
  readonly a = new Take(this.endpoint);
  readonly b = new Take(this.endpoint);
  readonly recording = new Recording((file) => void this.openSound(file));
  readonly live = new Live(
    this.endpoint,
    (take) => void this.keepLive(take),
    (error) => this.catalogue.asksForKey(error),
  );

  /** Light or dark, as the page is now. */
  readonly shade = shadeOf(this.settings.theme);
  readonly mode = signal<Mode>("recording");
  readonly sound = signal<Sound | null>(null);
  readonly isOpening = signal(false);
  readonly soundProblem = signal<string | null>(null);
  readonly truth = signal<Truth | null>(null);
  readonly truthProblem = signal<string | null>(null);
  readonly playProblem = signal<string | null>(null);
  /** What draws the heads; null until it stands, and where the browser cannot. */
  readonly stage = signal<Stage | null>(null);
  /** What screen readers are told, in short. */
  readonly status = signal("");

  private numOpened = 0;

  readonly isComparing = computed(() => this.settings.compare.value !== "off");
  readonly showsTwo = computed(() => this.isComparing.value && this.mode.value === "recording");
  readonly isBusy = computed(() => this.a.isBusy.value || this.b.isBusy.value);
  readonly isWaiting = computed(
    () =>
      [this.a, this.b].some(({ progress }) => progress.value.name === "waiting") ||
      Boolean(this.live.session.value?.waitingS.value),
  );
  readonly motionA = computed(() => this.a.motion.value);
  readonly motionB = computed(() => {
    const compare = this.settings.compare.value;
    if (compare === "truth") return this.truth.value?.motion ?? null;
    return compare === "takes" ? this.b.motion.value : null;
  });
  readonly hasMotion = computed(() => this.motionA.value !== null || this.motionB.value !== null);
  readonly canAnimate = computed(
    () =>
      this.mode.value === "recording" &&
      this.sound.value !== null &&
      !this.isOpening.value &&
      !this.isBusy.value &&
      !this.recording.isOn.value,
  );

  /** Starts what runs as long as the page: the address, the player's settings, the endpoint. */
  start(): () => void {
    const ends = [
      this.comparison.follow(),
      this.settings.followAddress(),
      wear(this.shade),
      effect(() => void (this.player.speed.value = this.settings.speed.value)),
      effect(() => void (this.player.isLooping.value = this.settings.isLooping.value)),
      effect(() => this.fitDuration()),
      effect(() => {
        if (this.isWaiting.value) this.status.value = "The server is busy. Trying again by itself.";
      }),
      effect(() => {
        if (this.recording.isOn.value) this.status.value = "Recording";
      }),
      effect(() => {
        if (this.live.state.value === "live") this.status.value = "Live. The face follows the microphone.";
      }),
      ...[this.settings.a, this.settings.b].map(({ student }) => effect(() => this.learnOf(student.value))),
    ];
    void this.catalogue.load(this.chosenStudents());
    void this.heads.loadBuiltIn();
    return () => {
      for (const end of ends) end();
      this.a.cancel();
      this.b.cancel();
      this.player.dispose();
    };
  }

  takeOf(letter: Letter): Take {
    return letter === "a" ? this.a : this.b;
  }

  settingsOf(letter: Letter): TakeSettings {
    return letter === "a" ? this.settings.a : this.settings.b;
  }

  chosenStudents(): string[] {
    return [this.settings.a.student.peek(), this.settings.b.student.peek()].filter(Boolean);
  }

  /** A sound from a file or the microphone; what was made of the one before is gone. */
  async openSound(file: File): Promise<void> {
    const opened = (this.numOpened += 1);
    this.isOpening.value = true;
    this.soundProblem.value = null;
    try {
      const sound = await soundOf(file, this.limits());
      if (opened !== this.numOpened) return; // another one was chosen meanwhile
      this.showSound(sound);
      this.status.value = `${file.name}, ${duration(sound.durationS)}. Press Animate.`;
    } catch (error) {
      if (opened === this.numOpened) this.soundProblem.value = messageOf(error);
    } finally {
      if (opened === this.numOpened) this.isOpening.value = false;
    }
  }

  removeSound(): void {
    this.showSound(null);
    this.soundProblem.value = null;
  }

  /** Asks for what is missing, then plays. */
  async animate(): Promise<void> {
    const sound = this.sound.value;
    if (!sound || !this.canAnimate.value) return;
    const letters: Letter[] = this.settings.compare.value === "takes" ? ["a", "b"] : ["a"];
    this.player.pause();
    this.playProblem.value = null;
    this.status.value = "Animating";
    const done = await Promise.all(letters.map((letter) => this.animateOne(letter, sound)));
    if (!done.every(Boolean) || this.sound.value !== sound) {
      this.status.value = "";
      return;
    }
    this.status.value = `Animated ${duration(sound.durationS)}. Playing.`;
    this.player.seek(0);
    await this.play();
  }

  cancel(): void {
    this.a.cancel();
    this.b.cancel();
    this.status.value = "Cancelled";
  }

  async play(): Promise<void> {
    this.playProblem.value = null;
    try {
      await this.player.play();
    } catch (error) {
      this.playProblem.value = messageOf(error);
    }
  }

  togglePlay(): void {
    if (this.player.isPlaying.value) {
      this.player.pause();
      this.status.value = `Paused at ${clock(this.player.timeS.value)}`;
    } else if (this.mode.value === "recording") void this.play();
  }

  /** Length of a frame of what is shown. */
  frameS(): number {
    return 1 / (this.motionA.value ?? this.motionB.value ?? { fps: 25 }).fps;
  }

  step(frames: number): void {
    this.player.pause();
    const frameS = this.frameS();
    this.player.seek((Math.round(this.player.timeS.value / frameS) + frames) * frameS);
  }

  switchMode(mode: Mode): void {
    this.player.pause();
    this.mode.value = mode;
  }

  /** Motion of a file, to compare with. */
  async openMotion(file: File): Promise<void> {
    this.truthProblem.value = null;
    this.comparison.choose("truth");
    try {
      const { motion, notes } = await readMotion(file);
      this.truth.value = { name: file.name, motion, notes };
      this.status.value = `${file.name}, ${duration(durationS(motion))}, is compared with.`;
    } catch (error) {
      this.truthProblem.value = messageOf(error);
    }
  }

  /** Whatever was dropped on the page. */
  async openDropped(file: File): Promise<void> {
    if (/\.glb$/i.test(file.name)) return this.heads.loadFile(file);
    if (MOTION_SUFFIXES.some((suffix) => file.name.toLowerCase().endsWith(suffix))) return this.openMotion(file);
    if (this.live.session.value) {
      this.live.problem.value = `${file.name} was not opened: stop speaking first, then drop it again`;
      return;
    }
    if (this.recording.isUnderWay.value) {
      this.soundProblem.value = `${file.name} was not opened: stop the recording first, then drop it again`;
      return;
    }
    this.mode.value = "recording";
    return this.openSound(file);
  }

  /** Records, or ends that. */
  async toggleRecording(): Promise<void> {
    if (this.recording.isOn.value) return this.recording.stop();
    this.player.pause();
    try {
      await this.recording.start(this.limits().maxSeconds);
    } catch (error) {
      this.soundProblem.value = messageOf(error);
    }
  }

  async startLive(): Promise<void> {
    this.player.pause();
    await this.live.start(this.settings.a.parameters.value);
  }

  /** A take that was recorded live becomes the result, with the motion that was seen. */
  private async keepLive(take: { motion: Motion; sound: File }): Promise<void> {
    const parameters = this.settings.a.parameters.value;
    await this.openSound(take.sound);
    const sound = this.sound.value;
    if (sound?.upload !== take.sound) {
      this.live.problem.value = this.soundProblem.value;
      return;
    }
    this.a.keepLive(take.motion, parameters);
    this.mode.value = "recording";
    // Why it broke off, if it did, is told where the take now is.
    this.soundProblem.value = this.live.problem.value;
    this.live.problem.value = null;
    this.status.value = `Recorded ${duration(sound.durationS)} live. Press play to see it again.`;
  }

  private limits(): Limits {
    const about = this.catalogue.abouts.value.get("");
    if (!about) throw new Error("the endpoint has not answered yet; try again in a moment");
    return about.limits;
  }

  private async animateOne(letter: Letter, sound: Sound): Promise<boolean> {
    const parameters = this.settingsOf(letter).parameters.value;
    return this.takeOf(letter).animate(sound, parameters, (error) => this.catalogue.asksForKey(error));
  }

  private showSound(sound: Sound | null): void {
    this.a.clear();
    this.b.clear();
    this.sound.value = sound;
    this.player.load(sound?.playback ?? null, this.durationOf(sound));
  }

  /** A dropped motion without a sound has a length of its own. */
  private fitDuration(): void {
    const wanted = this.durationOf(this.sound.value);
    untracked(() => {
      if (wanted !== this.player.durationS.value) this.player.load(this.sound.value?.playback ?? null, wanted);
    });
  }

  private durationOf(sound: Sound | null): number {
    const motion = this.motionB.value;
    return sound?.durationS ?? (motion ? durationS(motion) : 0);
  }

  private learnOf(student: string): void {
    const { isLoading, students } = this.catalogue;
    if (student && !isLoading.value && students.peek().includes(student)) void this.catalogue.choose(student);
  }
}
