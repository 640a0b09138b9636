import { afterEach, expect, test } from "vitest";

import {
  json,
  openPage,
  refusal,
  SOUND,
  type Answer,
  type Page,
  PATIENT,
} from "./ui_page";

let page: Page;
afterEach(() => page.close());

/** An endpoint that keeps voices. */
function voiceKeeper(): Answer {
  const voices: {
    id: string;
    name: string | null;
    is_usable: boolean;
    problem: string | null;
  }[] = [
    { id: "old-1", name: "Old", is_usable: false, problem: null },
    { id: "torn-1", name: null, is_usable: false, problem: "cut off" },
  ];
  return (url, init) => {
    const id = url.pathname.split("/")[3];
    if (init.method === "DELETE") {
      voices.splice(
        voices.findIndex((voice) => voice.id === id),
        1,
      );
      return new Response(null, { status: 204 });
    }
    if (init.method !== "POST") return json({ voices, next_after: null });
    const name = (init.body as FormData).get("name") as string;
    if (name === "Patience") return refusal(429, "busy", "too many wait", 30);
    if (name === "Nobody")
      return refusal(
        422,
        "invalid_parameter",
        "nobody speaks in this recording",
      );
    const voice = {
      id: `${name.toLowerCase()}-1`,
      name,
      is_usable: true,
      problem: null,
    };
    voices.push(voice);
    return json(voice, 201);
  };
}

async function opened() {
  page = openPage({ voices: voiceKeeper() });
  await expect
    .poll(() => page.bench.catalogue.isLoading.value, PATIENT)
    .toBe(false);
  page.bench.sound.value = SOUND;
  await expect
    .poll(() => page.button("Enrol from this recording").disabled)
    .toBe(false);
  return page;
}

async function enroll(name: string) {
  page.button("Enrol from this recording").click();
  await expect.poll(page.text).toContain("Enrol a voice");
  const input = page.field("Name");
  input.value = name;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.form!.dispatchEvent(
    new Event("submit", { bubbles: true, cancelable: true }),
  );
}

const options = () =>
  [...page.field("Voice").options].map(({ text, disabled }) =>
    disabled ? `(${text})` : text,
  );

test("voices are those of the sound, those that were enrolled, and the student's", async () => {
  await opened();
  expect(options()).toEqual([
    "As the sound suggests",
    "(Old (of another student))",
    "(torn-1 (damaged))",
    "anna",
    "bruno",
  ]);
});

test("a voice that is enrolled is in the list and chosen", async () => {
  const { bench } = await opened();
  await enroll("Clara");
  await expect.poll(() => bench.settings.a.voice.value).toBe("clara-1");
  await expect
    .poll(() => page.field("Voice").selectedOptions[0]?.text)
    .toBe("Clara");
  expect(document.querySelector("dialog")).toBeNull();
});

test("what keeps a voice from being enrolled is told in the dialog", async () => {
  const { bench } = await opened();
  await enroll("Nobody");
  await expect
    .poll(() => document.querySelector("dialog [role=alert]")?.textContent)
    .toContain("nobody speaks");
  expect(bench.settings.a.voice.value).toBe("");
});

test("a busy server is waited for in the dialog, with a countdown", async () => {
  await opened();
  await enroll("Patience");
  await expect
    .poll(() => document.querySelector("dialog")?.textContent)
    .toContain("The server is busy. Trying again in 30 s");
});

test("a voice is deleted only after a confirmation", async () => {
  const { bench, button } = await opened();
  await enroll("Clara");
  await expect.poll(() => button("Delete Clara")).toBeTruthy();
  button("Delete Clara").click();
  await expect.poll(page.text).toContain("Delete Clara?");
  button("Keep").click();
  await expect.poll(() => document.querySelector("dialog")).toBeNull();
  expect(options()).toContain("Clara");
  button("Delete Clara").click();
  await expect.poll(page.text).toContain("Delete Clara?");
  document
    .querySelector("dialog form")!
    .dispatchEvent(new Event("submit", { bubbles: true, cancelable: true }));
  await expect.poll(() => bench.settings.a.voice.value).toBe("");
  await expect.poll(options).not.toContain("Clara");
});
