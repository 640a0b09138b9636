/** What a result is compared with. What is not compared stays the same for both. */

import { batch, computed, effect, signal, untracked } from "@preact/signals";

import type { About } from "../../endpoint";
import type { Settings, Take as Chosen } from "../../settings";
import type { Catalogue } from "./catalogue";

/** `anything`: a second result with settings of its own throughout. */
export type Contrast = "off" | "voice" | "emotion" | "student" | "sampling" | "anything" | "truth";

/** The settings that may differ. Another student knows other voices and emotions. */
const OWN: Partial<Record<Contrast, readonly (keyof Chosen)[]>> = {
  voice: ["voice"],
  emotion: ["emotion", "intensity"],
  student: ["student", "voice", "emotion", "intensity"],
  sampling: ["steps", "temperature", "seed"],
  anything: ["student", "voice", "emotion", "intensity", "steps", "temperature", "seed"],
};

export class Comparison {
  /** Counts while two results are compared. */
  private readonly chosen = signal<Contrast>("anything");

  readonly contrast = computed<Contrast>(() => {
    const compare = this.settings.compare.value;
    return compare === "takes" ? this.chosen.value : compare;
  });

  constructor(
    private readonly settings: Settings,
    private readonly catalogue: Catalogue,
  ) {}

  /**
   * Keeps the same for both what is not compared. Called before settings follow the address, so that what an address
   * says of both is taken over whole, and is then what tells the comparison.
   *
   * @returns ends this.
   */
  follow(): () => void {
    const stop = effect(() => {
      const own = OWN[this.contrast.value];
      if (!own) return;
      const { a, b } = this.settings;
      b.values = {
        ...a.values,
        ...only(
          untracked(() => b.values),
          own,
        ),
      };
    });
    const onAddress = () => {
      this.chosen.value = "anything";
      setTimeout(() => (this.chosen.value = contrastOf(this.settings.a.values, this.settings.b.values)));
    };
    onAddress();
    window.addEventListener("hashchange", onAddress);
    return () => {
      stop();
      window.removeEventListener("hashchange", onAddress);
    };
  }

  choose(contrast: Contrast): void {
    const { settings } = this;
    batch(() => {
      if (contrast === "off" || contrast === "truth") {
        settings.compare.value = contrast;
        return;
      }
      settings.b.values = { ...settings.a.values, ...this.other(contrast) };
      settings.compare.value = "takes";
      this.chosen.value = contrast;
    });
  }

  /** Something that differs, to begin with. */
  private other(contrast: Contrast): Partial<Chosen> {
    const a = this.settings.a.values;
    const about: About | undefined = this.catalogue.abouts.value.get(a.student);
    if (contrast === "voice") {
      const enrolled = (this.catalogue.voices.value.get(a.student) ?? []).filter(({ isUsable }) => isUsable);
      const voices = [...enrolled.map(({ id }) => id), ...(about?.speakers ?? []), ""];
      return { voice: voices.find((voice) => voice !== a.voice) ?? "" };
    }
    if (contrast === "emotion") {
      return { emotion: about?.emotions.find((emotion) => emotion !== a.emotion && emotion !== "neutral") ?? "" };
    }
    if (contrast === "student") {
      const students = this.catalogue.students.value;
      const others = students.filter((student) => student !== (a.student || students[0]));
      return { student: others[0] === students[0] ? "" : (others[0] ?? a.student), voice: "" };
    }
    return { seed: a.seed + 1 };
  }
}

/** What differs between two results. */
export function contrastOf(a: Chosen, b: Chosen): Contrast {
  const differing = (Object.keys(a) as (keyof Chosen)[]).filter((name) => a[name] !== b[name]);
  if (differing.length === 0) return "anything";
  const narrow = (["voice", "emotion", "sampling", "student"] as const).find((contrast) =>
    differing.every((name) => OWN[contrast]!.includes(name)),
  );
  return narrow ?? "anything";
}

function only(values: Chosen, names: readonly (keyof Chosen)[]): Partial<Chosen> {
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}
