import { afterEach, expect, test } from "vitest";

import {
  ABOUT,
  json,
  openPage,
  PATIENT,
  type Answer,
  type Page,
} from "./ui_page";

let page: Page;
afterEach(() => page.close());

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
