import { afterEach, expect, test, vi } from "vitest";

import type { LiveStream } from "../../../platform/diffusiontalker/studio/src/endpoint";
import { LiveSession } from "../../../platform/diffusiontalker/studio/src/live";
import {
  Microphone,
  Recorder,
  wavOf,
} from "../../../platform/diffusiontalker/studio/src/sound";
import {
  ABOUT,
  json,
  openPage,
  PATIENT,
  SOUND,
  type Answer,
  type Page,
} from "./ui_page";

let page: Page;
afterEach(() => {
  page?.close();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

async function opened(answers: Record<string, Answer> = {}) {
  page = openPage(answers);
  await expect
    .poll(() => page.bench.catalogue.isLoading.value, PATIENT)
    .toBe(false);
  return page;
}

const alerts = () =>
  [...document.querySelectorAll(".panel [role=alert]")].map(
    (one) => one.textContent,
  );

test("live says how late the face will be, and takes over the settings but for the comparison", async () => {
  const { bench, text, field, button } = await opened();
  bench.switchMode("live");
  await expect.poll(text).toContain("193 ms later");
  expect(button("Start speaking").disabled).toBe(false);
  expect(field("Voice").options[0]!.text).toBe("Nobody in particular");
  expect(() => field("Compare with")).toThrow();
});

test("a student that cannot speak live says why", async () => {
  const streams = { cannot: "it hears the whole recording" };
  const { bench, text, button } = await opened({
    bundle: () => json({ ...ABOUT, streams }),
  });
  bench.switchMode("live");
  await expect
    .poll(text)
    .toContain("cannot speak live: it hears the whole recording");
  expect(button("Start speaking").disabled).toBe(true);
});

test("a microphone that is not to be had is explained, and another try can be made", async () => {
  const { bench, button } = await opened();
  button("Record").click();
  await expect.poll(alerts).toEqual([expect.stringContaining("microphone")]);
  expect(button("Record").disabled).toBe(false);
  bench.switchMode("live");
  await expect.poll(() => button("Start speaking").disabled).toBe(false);
  button("Start speaking").click();
  await expect.poll(alerts).toEqual([expect.stringContaining("microphone")]);
  expect(button("Start speaking").disabled).toBe(false);
});

test("why a session broke off is told beside the take that it left", async () => {
  const { bench } = await opened();
  vi.stubGlobal(
    "OfflineAudioContext",
    class {
      decodeAudioData = async () => ({
        numberOfChannels: 1,
        sampleRate: 48_000,
        getChannelData: () => new Float32Array(4800).fill(0.5),
      });
    },
  );
  bench.switchMode("live");
  const session = new LiveSession(bench.endpoint);
  const motion = {
    fps: 10,
    names: ["jawOpen"],
    numFrames: 1,
    weights: new Float32Array(1),
  };
  vi.spyOn(session, "stop").mockResolvedValue({
    motion,
    sound: wavOf([new Int16Array(1600).fill(9999)], 16_000, "live.wav"),
  });
  bench.live.session.value = session;
  bench.live.problem.value = "the connection broke off";
  await bench.live.stop();
  await expect.poll(() => bench.mode.value).toBe("recording");
  await expect.poll(alerts).toEqual(["the connection broke off"]);
  expect(bench.motionA.value).toBe(motion);
});

test("while a microphone is asked for, nothing else can be begun, and Space plays nothing in live mode", async () => {
  const { bench, press } = await opened();
  bench.sound.value = SOUND;
  await bench.animate();
  bench.player.pause();
  const modes = () =>
    [...document.querySelectorAll<HTMLInputElement>(".segments input")].map(
      ({ disabled }) => disabled,
    );
  bench.recording.isStarting.value = true;
  await expect.poll(modes).toEqual([true, true]);
  bench.recording.isStarting.value = false;
  await expect.poll(modes).toEqual([false, false]);
  bench.switchMode("live");
  press(" ");
  expect(bench.player.isPlaying.value).toBe(false);
});

test("a recording can be stopped by the key that began it", async () => {
  const { bench } = await opened();
  const recorder = new Recorder(10);
  recorder.isRecording.value = true;
  bench.recording.recorder.value = recorder;
  await expect
    .poll(() => document.activeElement?.closest("button")?.textContent)
    .toBe("Stop");
  expect(document.querySelector("p[role=status]")?.textContent).toBe(
    "Recording",
  );
});

test("a stream that is over before the microphone is closed is not waited for", async () => {
  const stream: Partial<LiveStream> = {
    ready: Promise.resolve({ fps: 25, names: ["jawOpen"], lookAheadMs: 100 }),
    end: () => {},
    close: () => {},
  };
  vi.spyOn(Microphone, "open").mockResolvedValue({
    context: { sampleRate: 16_000, createDelay: () => ({}) },
    source: { connect: () => {} },
    close: async () => stream.onEnd!(null),
  } as unknown as Microphone);
  const session = new LiveSession({ stream: () => stream as LiveStream });
  await session.start();
  const begunMs = performance.now();
  await session.stop();
  expect(performance.now() - begunMs).toBeLessThan(2000);
  expect(session.state.value).toBe("ended");
});
