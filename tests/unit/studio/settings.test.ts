import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  Settings,
  DEFAULTS,
} from "../../../platform/diffusiontalker/studio/src/settings";
import {
  fromHash,
  toHash,
} from "../../../platform/diffusiontalker/studio/src/settings/values";

beforeEach(() => {
  vi.useFakeTimers();
  history.replaceState(null, "", "/studio/");
});

afterEach(() => {
  vi.useRealTimers();
});

test("what is as by default is not in the address", () => {
  expect(toHash(DEFAULTS)).toBe("");
  expect(fromHash("")).toEqual(DEFAULTS);
  expect(fromHash("#")).toEqual(DEFAULTS);
});

test("everything that can be chosen comes back from the address", () => {
  const chosen = {
    a: {
      student: "small",
      voice: "anna & co/ü",
      emotion: "happy",
      intensity: 0,
      steps: 1,
      temperature: 0,
      seed: 7,
    },
    b: {
      student: "",
      voice: "",
      emotion: "sad",
      intensity: 1.25,
      steps: null,
      temperature: 0.5,
      seed: 0,
    },
    compare: "takes",
    channels: ["jawOpen", "tongueOut"],
    loop: true,
    speed: 0.5,
    theme: "dark",
  } as const;
  expect(fromHash(`#${toHash(chosen)}`)).toEqual(chosen);
  expect(fromHash(toHash({ ...chosen, channels: [] })).channels).toEqual([]);
});

test("the second take is in the address only where takes are compared", () => {
  const b = { ...DEFAULTS.b, emotion: "sad" };
  expect(toHash({ ...DEFAULTS, b })).toBe("");
  expect(toHash({ ...DEFAULTS, b, compare: "takes" })).toBe(
    "b.emotion=sad&compare=takes",
  );
});

test("what cannot be is as by default, without harm to the rest", () => {
  const hash =
    "#intensity=9&steps=2.5&temperature=hot&seed=-1&speed=&compare=all&theme=pink&channels=jawOpen.hair.jawOpen" +
    "&new=1&loop=yes&emotion=happy&%E0%A4%A";
  expect(fromHash(hash)).toEqual({
    ...DEFAULTS,
    a: { ...DEFAULTS.a, emotion: "happy" },
    channels: ["jawOpen"],
  });
  expect(fromHash(`#voice=${"x".repeat(5000)}`).a.voice).toHaveLength(200);
});

test("the address follows what is chosen without filling the history", () => {
  history.replaceState({ kept: true }, "", "/studio/?page#seed=3");
  const entries = history.length;
  const settings = new Settings();
  const end = settings.followAddress();
  expect(settings.a.seed.value).toBe(3);
  settings.a.emotion.value = "happy";
  settings.speed.value = 0.5;
  vi.advanceTimersByTime(1000);
  expect(location.pathname + location.search + location.hash).toBe(
    "/studio/?page#emotion=happy&seed=3&speed=0.5",
  );
  expect([history.length, history.state]).toEqual([entries, { kept: true }]);
  settings.values = DEFAULTS;
  vi.advanceTimersByTime(1000);
  expect(location.href).toMatch(/\/studio\/\?page$/);
  end();
  settings.a.seed.value = 9;
  expect(location.hash).toBe("");
});

test("a slider that is drawn changes the address a few times only", () => {
  const settings = new Settings();
  const end = settings.followAddress();
  vi.advanceTimersByTime(1000);
  const replace = vi.spyOn(history, "replaceState");
  for (let step = 1; step <= 100; step++) {
    settings.a.intensity.value = 1 + step / 100;
    vi.advanceTimersByTime(10);
  }
  expect(location.hash).not.toBe("");
  vi.advanceTimersByTime(1000);
  expect(location.hash).toBe("#intensity=2");
  expect(replace.mock.calls.length).toBeLessThan(6);
  replace.mockRestore();
  end();
});

test("an address that somebody types is taken over", () => {
  const settings = new Settings();
  const end = settings.followAddress();
  settings.a.emotion.value = "happy";
  history.replaceState(null, "", "/studio/#voice=anna");
  window.dispatchEvent(new HashChangeEvent("hashchange"));
  expect([settings.a.voice.value, settings.a.emotion.value]).toEqual([
    "anna",
    "",
  ]);
  end();
});

test("an endpoint is asked with what differs from the student's own", () => {
  const { a } = new Settings();
  expect(JSON.parse(JSON.stringify(a.parameters.value))).toEqual({
    emotionIntensity: 1,
    seed: 0,
  });
  a.steps.value = 4;
  a.voice.value = "anna";
  expect(JSON.parse(JSON.stringify(a.parameters.value))).toEqual({
    voice: "anna",
    emotionIntensity: 1,
    numSteps: 4,
    seed: 0,
  });
});
