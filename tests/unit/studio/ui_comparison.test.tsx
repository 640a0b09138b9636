import { afterEach, expect, test } from "vitest";

import { contrastOf } from "../../../platform/diffusiontalker/studio/src/ui/state/comparison";
import { DEFAULTS } from "../../../platform/diffusiontalker/studio/src/settings";
import { openPage, SOUND, type Page, PATIENT } from "./ui_page";

let page: Page;
afterEach(() => page.close());

async function opened(hash = "") {
  page = openPage({}, hash);
  await expect
    .poll(() => page.bench.catalogue.isLoading.value, PATIENT)
    .toBe(false);
  return page.bench;
}

test("another emotion: B has one of its own, and everything else of A", async () => {
  const { comparison, settings } = await opened();
  comparison.choose("emotion");
  expect(settings.compare.value).toBe("takes");
  expect(settings.b.emotion.value).toBe("happy");
  settings.a.voice.value = "anna";
  settings.a.emotion.value = "sad";
  expect(settings.b.values).toMatchObject({ voice: "anna", emotion: "happy" });
});

test("another student is one that is hosted; its voice is chosen anew", async () => {
  const { comparison, settings } = await opened();
  settings.a.voice.value = "anna";
  comparison.choose("student");
  expect(settings.b.values).toMatchObject({ student: "large", voice: "" });
});

test("other settings are independent", async () => {
  const { comparison, settings } = await opened();
  comparison.choose("anything");
  settings.a.emotion.value = "sad";
  expect(settings.b.emotion.value).toBe("");
});

test("an address says what is compared", async () => {
  const bench = await opened("#emotion=sad&b.emotion=happy&compare=takes");
  await expect.poll(() => bench.comparison.contrast.value).toBe("emotion");
  expect(bench.settings.b.emotion.value).toBe("happy");
  bench.settings.a.voice.value = "anna";
  expect(bench.settings.b.values).toMatchObject({
    voice: "anna",
    emotion: "happy",
  });
});

test("an address that is typed later is taken over whole", async () => {
  const bench = await opened("#emotion=sad&b.emotion=happy&compare=takes");
  location.hash = "#voice=anna&b.voice=bruno&b.seed=4&compare=takes";
  await expect
    .poll(() => bench.settings.b.values)
    .toMatchObject({ voice: "bruno", seed: 4, emotion: "" });
  expect(bench.comparison.contrast.value).toBe("anything");
});

test("what differs names the comparison", () => {
  const a = DEFAULTS.a;
  expect(contrastOf(a, { ...a, voice: "anna" })).toBe("voice");
  expect(contrastOf(a, { ...a, seed: 3, steps: 4 })).toBe("sampling");
  expect(contrastOf(a, { ...a, student: "large", voice: "anna" })).toBe(
    "student",
  );
  expect(contrastOf(a, { ...a, voice: "anna", seed: 3 })).toBe("anything");
  expect(contrastOf(a, a)).toBe("anything");
});

test("both are asked for, each with its own settings, and the same never twice", async () => {
  const bench = await opened();
  bench.sound.value = SOUND;
  bench.comparison.choose("voice");
  await bench.animate();
  const voices = () =>
    page.asked
      .filter(({ url }) => url.pathname === "/v1/animations")
      .map(({ url }) => url.searchParams.get("voice"));
  expect(voices()).toEqual([null, "anna"]);
  bench.settings.b.voice.value = "bruno";
  await bench.animate();
  expect(voices()).toEqual([null, "anna", "bruno"]);
});
