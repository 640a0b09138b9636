import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  ABOUT,
  json,
  MOTION,
  openPage,
  refusal,
  SOUND,
  type Page,
  PATIENT,
} from "./ui_page";

let page: Page;

beforeEach(() => sessionStorage.clear());
afterEach(() => page.close());

async function opened(...given: Parameters<typeof openPage>) {
  page = openPage(...given);
  await expect
    .poll(() => page.bench.catalogue.isLoading.value, PATIENT)
    .toBe(false);
  return page;
}

test("without a sound there is nothing to animate, and the page says what to do", async () => {
  const { bench, button, text } = await opened();
  bench.heads.problem.value = null;
  expect(button("Animate").disabled).toBe(true);
  expect(button("Play").disabled).toBe(true);
  expect(button("Enrol from this recording").disabled).toBe(true);
  expect(text()).toContain("Sound and curves appear here.");
});

test("a sound can be animated by button and by key, and then played", async () => {
  const { bench, button, press, text } = await opened();
  bench.sound.value = SOUND;
  await expect.poll(() => button("Animate").disabled).toBe(false);
  press("Enter", { ctrlKey: true }, page.field("Emotion"));
  await expect.poll(() => bench.a.motion.value?.numFrames).toBe(3);
  await expect.poll(() => button("Pause").disabled).toBe(false);
  press(" ");
  await expect.poll(text).toContain("Result A lasts 0.3 s, 3 frames.");
  expect(button("Play").disabled).toBe(false);
});

test("what was chosen is what is asked for", async () => {
  const { bench, button, choose } = await opened();
  bench.sound.value = SOUND;
  choose("Voice", "anna");
  choose("Emotion", "happy");
  choose("Steps", "4");
  choose("Seed", "7");
  await expect.poll(() => button("Animate").disabled).toBe(false);
  button("Animate").click();
  await expect.poll(() => bench.a.motion.value).not.toBeNull();
  const { url } = page.asked.findLast(({ method }) => method === "POST")!;
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    voice: "anna",
    emotion: "happy",
    num_steps: "4",
    seed: "7",
    format: "json",
  });
});

test("numbers are kept within what is allowed, and left alone while they are typed", async () => {
  const { bench, field, choose } = await opened();
  const steps = field("Steps");
  steps.focus();
  choose("Steps", "99");
  await expect.poll(() => bench.settings.a.steps.value).toBe(64);
  expect(steps.value).toBe("99");
  steps.blur();
  await expect.poll(() => steps.value).toBe("64");
  choose("Steps", "");
  await expect.poll(() => bench.settings.a.steps.value).toBeNull();
  page.button("Throw the dice").click();
  await expect
    .poll(() => field("Seed").value)
    .toBe(String(bench.settings.a.seed.value));
});

test("a refusal is told in the endpoint's words", async () => {
  const { bench } = await opened({
    animations: () =>
      refusal(
        422,
        "invalid_parameter",
        "num_steps is 9, allowed are 1, 2 and 4",
      ),
  });
  bench.sound.value = SOUND;
  await bench.animate();
  await expect
    .poll(() => document.querySelector(".go [role=alert]")?.textContent)
    .toBe("num_steps is 9, allowed are 1, 2 and 4");
  document.querySelector<HTMLElement>(".go [role=alert] button")!.click();
  await expect
    .poll(() => document.querySelector(".go [role=alert]"))
    .toBeNull();
});

test("a busy server is waited for, with a countdown that can be cancelled", async () => {
  const { bench, button, text } = await opened({
    animations: () => refusal(429, "busy", "too many wait", 30),
  });
  bench.sound.value = SOUND;
  const animated = bench.animate();
  await expect.poll(text).toContain("The server is busy. Trying again in 30 s");
  button("Cancel").click();
  await animated;
  await expect.poll(() => button("Animate").disabled).toBe(false);
  expect(bench.a.problem.value).toBeNull();
});

test("a key is asked for once, kept in this tab, and sent", async () => {
  const { button, field, text } = await opened({
    bundle: (_, init) =>
      new Headers(init.headers).get("authorization") === "Bearer dt_good"
        ? json(ABOUT)
        : refusal(401, "unauthenticated", "this endpoint wants a key"),
  });
  await expect.poll(text).toContain("This endpoint needs a key");
  for (const [key, isKnown] of [
    ["dt_bad", false],
    ["dt_good", true],
  ] as const) {
    // prettier-ignore
    const input = field("Key");
    input.value = key;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await expect.poll(() => button("Use this key").disabled).toBe(false);
    input.form!.dispatchEvent(
      new Event("submit", { bubbles: true, cancelable: true }),
    );
    await expect
      .poll(() => page.bench.catalogue.keyWanted.value === null)
      .toBe(isKnown);
    if (!isKnown)
      await expect.poll(text).toContain("this endpoint wants a key");
  }
  expect(sessionStorage.getItem("diffusiontalker.key")).toBe("dt_good");
  expect(location.href).not.toContain("dt_good");
});

test("a key that was switched off is asked for again", async () => {
  sessionStorage.setItem("diffusiontalker.key", "dt_off");
  const { text } = await opened({
    bundle: () =>
      refusal(403, "forbidden", "key 'anna' is switched off; ask the operator"),
  });
  await expect.poll(text).toContain("This endpoint needs a key");
  expect(text()).toContain("'anna' is switched off");
});

test("when the endpoint is gone while a key is entered, that is what is told", async () => {
  let isThere = true;
  const { bench, text } = await opened({
    bundle: () => {
      if (!isThere) throw new TypeError("failed to fetch");
      return refusal(401, "unauthenticated", "this endpoint wants a key");
    },
  });
  await expect.poll(text).toContain("This endpoint needs a key");
  isThere = false;
  await bench.catalogue.enterKey("dt_good", []);
  await expect.poll(() => document.querySelector("dialog")).toBeNull();
  expect(text()).toContain("does not answer at localhost");
});

test("a browser that keeps nothing for pages shows the page all the same", async () => {
  vi.stubGlobal("sessionStorage", {
    getItem: () => {
      throw new DOMException("denied", "SecurityError");
    },
  });
  const { bench } = await opened();
  expect(bench.catalogue.problem.value).toBeNull();
  vi.unstubAllGlobals();
});

test("an endpoint that does not answer is told, with a way to try again", async () => {
  let isThere = false;
  const { bench, button } = await opened({
    bundle: () => {
      if (!isThere) throw new TypeError("failed to fetch");
      return json(ABOUT);
    },
  });
  await expect
    .poll(() => document.querySelector(".settings [role=alert]")?.textContent)
    .toContain("does not answer at localhost");
  isThere = true;
  button("Try again").click();
  await expect.poll(() => bench.catalogue.abouts.value.size).toBeGreaterThan(0);
  await expect
    .poll(() => document.querySelector(".settings [role=alert]"))
    .toBeNull();
});

test("downloads are what the endpoint offers", async () => {
  const { bench, button, text } = await opened();
  bench.sound.value = SOUND;
  button("Download").click();
  await expect.poll(text).toContain("Animate a recording first");
  await bench.animate();
  await expect.poll(() => button(/^Table/).textContent).toContain(".csv");
  expect(button(/^Animated head/).textContent).toContain(".glb");
  vi.stubGlobal(
    "URL",
    Object.assign(URL, {
      createObjectURL: () => "blob:x",
      revokeObjectURL: () => {},
    }),
  );
  button(/^Animated head/).click();
  await expect
    .poll(() =>
      page.asked
        .findLast(({ method }) => method === "POST")!
        .url.searchParams.get("format"),
    )
    .toBe("glb");
});

test("a browser without WebGL says so, and animating works all the same", async () => {
  const { bench, text } = await opened();
  await expect.poll(text, { timeout: 5000 }).toContain("WebGL 2");
  bench.sound.value = SOUND;
  await bench.animate();
  expect(bench.a.motion.value!.names).toEqual(MOTION.names);
});
