/** The whole page in happy-dom, on an endpoint that answers as the test says. */

import { render } from "preact";
import { vi } from "vitest";

import type { Sound } from "../../../platform/diffusiontalker/studio/src/sound";
import { App } from "../../../platform/diffusiontalker/studio/src/ui/App";
import { Workbench } from "../../../platform/diffusiontalker/studio/src/ui/state/workbench";

export type Answer = (
  url: URL,
  init: RequestInit,
) => Response | Promise<Response>;

export const ABOUT = {
  name: "small",
  digest: "0f",
  diffusiontalker: "1.0",
  parameters: 12,
  file_bytes: 34,
  fps: 10,
  channel_names: ["jawOpen", "mouthClose"],
  speakers: ["anna", "bruno"],
  emotions: ["neutral", "happy", "sad"],
  num_steps: 2,
  temperature: 0.5,
  streams: { look_ahead_ms: 193 },
  limits: {
    min_seconds: 0.1,
    max_seconds: 300,
    max_upload_megabytes: 64,
    max_references: 16,
    max_fps: 120,
  },
  formats: [
    { name: "csv", suffix: ".csv", media_type: "text/csv" },
    { name: "glb", suffix: ".glb", media_type: "model/gltf-binary" },
  ],
  students: ["small", "large"],
};

export const MOTION = { fps: 10, names: ["jawOpen", "mouthClose"], frames: [[0, 0.5], [0.5, 0.25], [1, 0]] }; // prettier-ignore

export const SOUND: Sound = {
  name: "hello.wav",
  durationS: 0.3,
  samples: new Float32Array(4800).fill(0.5),
  sampleRateHz: 16_000,
  upload: new File(["sound"], "hello.wav"),
  playback: new Blob(["sound"]),
};

/** For what a busy machine takes long for: the first test imports three.js. */
export const PATIENT = { timeout: 20_000 };
vi.setConfig({ testTimeout: 30_000 });

export function json(
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

export function refusal(
  status: number,
  code: string,
  message: string,
  retryAfterS?: number,
): Response {
  const headers =
    retryAfterS === undefined
      ? undefined
      : { "retry-after": String(retryAfterS) };
  return json({ error: { code, message } }, status, headers);
}

export interface Page {
  readonly bench: Workbench;
  /** Requests so far, such as `POST /v1/animations?format=json`. */
  readonly asked: { method: string; url: URL; init: RequestInit }[];
  readonly button: (name: string | RegExp) => HTMLButtonElement;
  readonly field: (label: string) => HTMLInputElement & HTMLSelectElement;
  readonly choose: (label: string, value: string) => void;
  readonly text: () => string;
  readonly press: (
    key: string,
    more?: KeyboardEventInit,
    target?: Element,
  ) => void;
  readonly close: () => void;
}

/** Opens the page; `answers` go before the ordinary ones, by the path after `/v1/`. */
export function openPage(
  answers: Record<string, Answer> = {},
  hash = "",
): Page {
  (
    window as unknown as { happyDOM: { setURL(url: string): void } }
  ).happyDOM.setURL(`http://localhost/studio/${hash}`);
  const asked: Page["asked"] = [];
  const ordinary: Record<string, Answer> = {
    bundle: () => json(ABOUT),
    voices: () => json({ voices: [], next_after: null }),
    animations: () => json(MOTION),
  };
  vi.stubGlobal("fetch", async (input: string, init: RequestInit = {}) => {
    const url = new URL(input);
    asked.push({ method: init.method ?? "GET", url, init });
    init.signal?.throwIfAborted();
    const [path = ""] = url.pathname.replace(/^\/v1\//, "").split("/");
    const answer = answers[path] ?? ordinary[path];
    return answer ? answer(url, init) : new Response("", { status: 404 });
  });
  const bench = new Workbench();
  const root = document.createElement("div");
  document.body.replaceChildren(root);
  render(<App bench={bench} />, root);

  const named = (element: Element) =>
    (element.getAttribute("aria-label") ?? element.textContent ?? "")
      .replace(/\s+/g, " ")
      .trim();
  const find = <T extends Element>(
    selector: string,
    name: string | RegExp,
  ): T => {
    const all = [...document.querySelectorAll<T>(selector)];
    const found = all.find((one) =>
      typeof name === "string" ? named(one) === name : name.test(named(one)),
    );
    if (!found)
      throw new Error(
        `no ${selector} ${name}; there are: ${all.map(named).join(" | ")}`,
      );
    return found;
  };
  const field: Page["field"] = (label) => {
    const { htmlFor, control } = find<HTMLLabelElement>(
      "label[for]",
      new RegExp(`^${label}`),
    );
    return (control ?? document.getElementById(htmlFor)) as never;
  };
  return {
    bench,
    asked,
    field,
    button: (name) => find("button", name),
    choose: (label, value) => {
      const select = field(label);
      select.value = value;
      for (const type of ["input", "change"])
        select.dispatchEvent(new Event(type, { bubbles: true }));
    },
    text: () => (document.body.textContent ?? "").replace(/\s+/g, " "),
    press: (key, more, target = document.body) =>
      void target.dispatchEvent(
        new KeyboardEvent("keydown", {
          key,
          bubbles: true,
          cancelable: true,
          ...more,
        }),
      ),
    close: () => render(null, root),
  };
}
