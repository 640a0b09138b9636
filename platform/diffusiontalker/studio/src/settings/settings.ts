/** What was chosen, as signals that the address follows: whoever has the address sees the same. Never holds the key. */

import { batch, computed, effect, signal, untracked, type ReadonlySignal, type Signal } from "@preact/signals";

import type { AnimationParameters } from "../endpoint/types";
import { DEFAULTS, fromHash, toHash, type Comparison, type Take, type Theme, type Values } from "./values";

/** Between two changes of the address: browsers refuse many, as a slider makes them. */
const WRITING_MS = 350;

export class TakeSettings {
  readonly student = signal(DEFAULTS.a.student);
  readonly voice = signal(DEFAULTS.a.voice);
  readonly emotion = signal(DEFAULTS.a.emotion);
  readonly intensity = signal(DEFAULTS.a.intensity);
  readonly steps: Signal<number | null> = signal(DEFAULTS.a.steps);
  readonly temperature: Signal<number | null> = signal(DEFAULTS.a.temperature);
  readonly seed = signal(DEFAULTS.a.seed);

  /** As the endpoint is asked. */
  readonly parameters: ReadonlySignal<AnimationParameters> = computed(() => {
    const { student, voice, emotion, intensity, steps, temperature, seed } = this.values;
    return {
      student: student || undefined,
      voice: voice || undefined,
      emotion: emotion || undefined,
      emotionIntensity: intensity,
      numSteps: steps ?? undefined,
      temperature: temperature ?? undefined,
      seed,
    };
  });

  get values(): Take {
    return {
      student: this.student.value,
      voice: this.voice.value,
      emotion: this.emotion.value,
      intensity: this.intensity.value,
      steps: this.steps.value,
      temperature: this.temperature.value,
      seed: this.seed.value,
    };
  }

  set values(take: Take) {
    batch(() => {
      this.student.value = take.student;
      this.voice.value = take.voice;
      this.emotion.value = take.emotion;
      this.intensity.value = take.intensity;
      this.steps.value = take.steps;
      this.temperature.value = take.temperature;
      this.seed.value = take.seed;
    });
  }
}

export class Settings {
  readonly a = new TakeSettings();
  readonly b = new TakeSettings();
  readonly compare: Signal<Comparison> = signal(DEFAULTS.compare);
  readonly channels: Signal<readonly string[]> = signal(DEFAULTS.channels);
  readonly isLooping = signal(DEFAULTS.loop);
  readonly speed = signal(DEFAULTS.speed);
  readonly theme: Signal<Theme> = signal(DEFAULTS.theme);

  get values(): Values {
    return {
      a: this.a.values,
      b: this.b.values,
      compare: this.compare.value,
      channels: this.channels.value,
      loop: this.isLooping.value,
      speed: this.speed.value,
      theme: this.theme.value,
    };
  }

  set values(values: Values) {
    batch(() => {
      this.a.values = values.a;
      this.b.values = values.b;
      this.compare.value = values.compare;
      this.channels.value = values.channels;
      this.isLooping.value = values.loop;
      this.speed.value = values.speed;
      this.theme.value = values.theme;
    });
  }

  /**
   * Takes over what the address says, and keeps it up to date from then on.
   *
   * Choosing makes no entries in the history, so that Back leaves the page; an address that is typed, or an entry that
   * somebody goes back to, is taken over.
   *
   * @returns ends this.
   */
  followAddress(): () => void {
    const onChange = (): void => {
      this.values = fromHash(location.hash);
    };
    onChange();
    window.addEventListener("hashchange", onChange);
    const write = (): void => {
      const hash = toHash(this.values);
      if (hash === location.hash.replace(/^#/, "")) return;
      writtenMs = performance.now();
      history.replaceState(history.state, "", `${location.pathname}${location.search}${hash && `#${hash}`}`);
    };
    let writtenMs = -Infinity;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = effect(() => {
      void this.values; // whatever changes in them
      clearTimeout(timer);
      const waitMs = writtenMs + WRITING_MS - performance.now();
      if (waitMs > 0) timer = setTimeout(write, waitMs);
      else untracked(write);
    });
    return () => {
      stop();
      clearTimeout(timer);
      window.removeEventListener("hashchange", onChange);
    };
  }
}
