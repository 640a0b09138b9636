import { afterEach, expect, test, vi } from "vitest";

import { LiveSession } from "../../../platform/diffusiontalker/studio/src/live";
import { openPage, SOUND, type Page, PATIENT } from "./ui_page";

let page: Page;
afterEach(() => {
  page.close();
  vi.unstubAllGlobals();
});

async function opened() {
  page = openPage();
  await expect
    .poll(() => page.bench.catalogue.isLoading.value, PATIENT)
    .toBe(false);
  await expect
    .poll(() => page.bench.heads.isLoading.value, PATIENT)
    .toBe(false);
  return page;
}

function drag(type: string, ...files: File[]): Event {
  const event = new Event(type, { bubbles: true, cancelable: true });
  document.dispatchEvent(
    Object.assign(event, { dataTransfer: { types: ["Files"], files } }),
  );
  return event;
}

const TRUTH = "time_s,jawOpen\n0.0,0.1\n0.1,0.4\n0.2,0.2\n";

test("the page says what it takes while a file is over it", async () => {
  const { text } = await opened();
  drag("dragenter");
  await expect.poll(text).toContain("Drop it anywhere");
  expect(drag("dragover").defaultPrevented).toBe(true);
  drag("dragleave");
  await expect.poll(text).not.toContain("Drop it anywhere");
});

test("a motion that is dropped is compared with, and its curves are drawn beside the result's", async () => {
  const { bench, text } = await opened();
  bench.sound.value = SOUND;
  await bench.animate();
  drag("drop", new File([TRUTH], "truth.csv"));
  await expect.poll(() => bench.motionB.value?.numFrames).toBe(3);
  expect(bench.settings.compare.value).toBe("truth");
  await expect.poll(text).toContain("Mean difference");
  bench.player.pause();
  bench.player.seek(0.1);
  const row = () => document.querySelector(".legend tbody tr")?.textContent;
  await expect.poll(row).toBe("jawOpen0.500.40");
});

test("a motion alone plays without a sound, for as long as it lasts", async () => {
  const { bench, button } = await opened();
  drag("drop", new File([TRUTH], "truth.csv"));
  await expect.poll(() => bench.player.durationS.value).toBeCloseTo(0.3);
  await expect.poll(() => button("Play").disabled).toBe(false);
});

test("a motion that cannot be read is explained where it would stand", async () => {
  await opened();
  drag("drop", new File(["time_s,jawOpen\n0,wide\n0.1,0.5\n"], "truth.csv"));
  await expect
    .poll(() => document.querySelector(".settings [role=alert]")?.textContent)
    .toContain("wide");
});

test("a head that is none is explained on the stage's side; the page goes on", async () => {
  const { bench } = await opened();
  drag("drop", new File(["not a head"], "chair.glb"));
  await expect.poll(() => bench.heads.problem.value).toContain("chair.glb");
});

test("keys step through frames and seconds", async () => {
  const { bench, press } = await opened();
  bench.sound.value = { ...SOUND, durationS: 3 };
  await bench.animate();
  bench.player.pause();
  bench.player.seek(0);
  press("ArrowRight");
  expect(bench.player.timeS.value).toBeCloseTo(0.1);
  press("ArrowRight", { shiftKey: true });
  expect(bench.player.timeS.value).toBeCloseTo(1.1);
  press("ArrowLeft");
  expect(bench.player.timeS.value).toBeCloseTo(1);
  press("End");
  expect(bench.player.timeS.value).toBeCloseTo(3);
  press("l");
  expect(bench.player.isLooping.value).toBe(true);
});

/** Browsers decode; here every file holds 0.1 s, which comes when the test says. */
function decodeWhen(ready: (bytes: ArrayBuffer) => Promise<unknown>) {
  vi.stubGlobal(
    "OfflineAudioContext",
    class {
      async decodeAudioData(bytes: ArrayBuffer) {
        await ready(bytes);
        const samples = new Float32Array(4800).fill(0.5);
        return {
          numberOfChannels: 1,
          sampleRate: 48_000,
          getChannelData: () => samples,
        };
      }
    },
  );
}

test("of two sounds the one that was dropped last stays, however long the first takes", async () => {
  const { bench } = await opened();
  let finishFirst = () => {};
  const first = new Promise<void>((resolve) => (finishFirst = resolve));
  decodeWhen((bytes) => (bytes.byteLength === 5 ? first : Promise.resolve()));
  const opening = bench.openDropped(new File(["first"], "first.mp3"));
  await bench.openDropped(new File(["second"], "second.mp3"));
  finishFirst();
  await opening;
  expect(bench.sound.value?.name).toBe("second.mp3");
  expect(bench.isOpening.value).toBe(false);
});

test("a sound that is dropped while somebody speaks does not hide the button that stops", async () => {
  const { bench, text } = await opened();
  bench.switchMode("live");
  bench.live.session.value = new LiveSession(bench.endpoint);
  drag("drop", new File(["sound"], "hello.mp3"));
  await expect.poll(text).toContain("hello.mp3 was not opened: stop speaking");
  expect(bench.mode.value).toBe("live");
  bench.live.session.value = null;
  bench.switchMode("recording");
  bench.recording.isStarting.value = true;
  drag("drop", new File(["sound"], "hello.mp3"));
  await expect.poll(text).toContain("hello.mp3 was not opened: stop the rec");
});
