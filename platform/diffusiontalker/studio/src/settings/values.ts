/** What can be chosen in the Studio, and how it stands in an address: short, and only what differs from the defaults. */

import { ARKIT_NAMES } from "../head/names";

/** What a result is asked with. Empty texts and null mean: as the student has it. */
export interface Take {
  readonly student: string;
  readonly voice: string;
  readonly emotion: string;
  readonly intensity: number;
  readonly steps: number | null;
  readonly temperature: number | null;
  readonly seed: number;
}

/** `takes`: two results side by side; `truth`: one beside the motion of a dropped file. */
export type Comparison = "off" | "takes" | "truth";
/** `auto`: as the system says. */
export type Theme = "auto" | "light" | "dark";

export interface Values {
  readonly a: Take;
  /** Counts only where takes are compared. */
  readonly b: Take;
  readonly compare: Comparison;
  /** Whose curves are drawn; empty: those that move most. */
  readonly channels: readonly string[];
  readonly loop: boolean;
  readonly speed: number;
  readonly theme: Theme;
}

export const INTENSITY = { min: 0, max: 2 };
export const STEPS = { min: 1, max: 64 };
export const TEMPERATURE = { min: 0, max: 4 };
export const SEED = { min: 0, max: 999_999_999 };
export const SPEED = { min: 0.1, max: 4 };

const DEFAULT_TAKE: Take = {
  student: "",
  voice: "",
  emotion: "",
  intensity: 1,
  steps: null,
  temperature: null,
  seed: 0,
};

export const DEFAULTS: Values = {
  a: DEFAULT_TAKE,
  b: DEFAULT_TAKE,
  compare: "off",
  channels: [],
  loop: false,
  speed: 1,
  theme: "auto",
};

const LONGEST_TEXT = 200;

/** The part of an address after `#`; empty when everything is as by default. */
export function toHash(values: Values): string {
  const parts = new URLSearchParams();
  const put = (name: string, value: unknown, byDefault: unknown): void => {
    if (value !== byDefault && value !== null) parts.set(name, String(value));
  };
  for (const [prefix, take] of values.compare === "takes" ? takes(values) : takes(values).slice(0, 1)) {
    put(`${prefix}student`, take.student, "");
    put(`${prefix}voice`, take.voice, "");
    put(`${prefix}emotion`, take.emotion, "");
    put(`${prefix}intensity`, take.intensity, DEFAULT_TAKE.intensity);
    put(`${prefix}steps`, take.steps, null);
    put(`${prefix}temperature`, take.temperature, null);
    put(`${prefix}seed`, take.seed, DEFAULT_TAKE.seed);
  }
  put("compare", values.compare, DEFAULTS.compare);
  put("channels", values.channels.join("."), DEFAULTS.channels.join("."));
  put("loop", values.loop ? 1 : 0, 0);
  put("speed", values.speed, DEFAULTS.speed);
  put("theme", values.theme, DEFAULTS.theme);
  return parts.toString();
}

/** What an address asks for; what it leaves out, or what cannot be, is as by default. */
export function fromHash(hash: string): Values {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const text = (name: string): string => (parts.get(name) ?? "").slice(0, LONGEST_TEXT);
  const take = (prefix: string): Take => ({
    student: text(`${prefix}student`),
    voice: text(`${prefix}voice`),
    emotion: text(`${prefix}emotion`),
    intensity: number(parts.get(`${prefix}intensity`), INTENSITY) ?? DEFAULT_TAKE.intensity,
    steps: whole(parts.get(`${prefix}steps`), STEPS),
    temperature: number(parts.get(`${prefix}temperature`), TEMPERATURE),
    seed: whole(parts.get(`${prefix}seed`), SEED) ?? DEFAULT_TAKE.seed,
  });
  const known = parts
    .get("channels")
    ?.split(".")
    .filter((name) => ARKIT_NAMES.includes(name));
  return {
    a: take(""),
    b: take("b."),
    compare: oneOf(parts.get("compare"), ["off", "takes", "truth"], DEFAULTS.compare),
    channels: known ? [...new Set(known)] : DEFAULTS.channels,
    loop: parts.get("loop") === "1",
    speed: number(parts.get("speed"), SPEED) ?? DEFAULTS.speed,
    theme: oneOf(parts.get("theme"), ["auto", "light", "dark"], DEFAULTS.theme),
  };
}

function takes({ a, b }: Values): [string, Take][] {
  return [
    ["", a],
    ["b.", b],
  ];
}

function number(text: string | null, { min, max }: { min: number; max: number }): number | null {
  const value = text?.trim() ? Number(text) : NaN;
  return value >= min && value <= max ? value : null;
}

function whole(text: string | null, range: { min: number; max: number }): number | null {
  const value = number(text, range);
  return Number.isInteger(value) ? value : null;
}

function oneOf<T extends string>(text: string | null, allowed: readonly T[], byDefault: T): T {
  return allowed.find((one) => one === text) ?? byDefault;
}
