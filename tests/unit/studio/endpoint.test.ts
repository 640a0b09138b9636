// @vitest-environment node
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  Endpoint,
  EndpointError,
} from "../../../platform/diffusiontalker/studio/src/endpoint";

interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly key: string | undefined;
  readonly form: FormData | null;
}

type Answer = (asked: Asked, response: ServerResponse) => void;

const ABOUT = {
  name: "small",
  digest: "0f",
  diffusiontalker: "1.0",
  parameters: 12,
  file_bytes: 34,
  fps: 25,
  channel_names: ["jawOpen"],
  speakers: ["anna"],
  emotions: ["happy"],
  num_steps: 2,
  temperature: 0.5,
  streams: { cannot: "it hears the whole recording" },
  limits: {
    min_seconds: 0.1,
    max_seconds: 300,
    max_upload_megabytes: 64,
    max_references: 16,
    max_fps: 120,
  },
  formats: [{ name: "csv", suffix: ".csv", media_type: "text/csv" }],
  students: ["small", "large"],
};

let server: Server;
let endpoint: Endpoint;
let asked: Asked[];
let answers: Answer[];

beforeEach(async () => {
  asked = [];
  answers = [];
  server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  endpoint = new Endpoint(
    `http://127.0.0.1:${port}/some/where/v1/`,
    () => "dt_key",
  );
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const type = request.headers["content-type"] ?? "";
  const form = type.startsWith("multipart/")
    ? await new Response(Buffer.concat(pieces), {
        headers: { "content-type": type },
      }).formData()
    : null;
  const url = new URL(request.url!, "http://here");
  asked.push({
    method: request.method!,
    url,
    key: request.headers.authorization,
    form,
  });
  answers.shift()!(asked.at(-1)!, response);
}

function json(
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): Answer {
  return (_, response) =>
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify(body));
}

function refusal(
  status: number,
  code: string,
  message: string,
  retryAfterS?: number,
): Answer {
  const error = {
    code,
    message,
    ...(retryAfterS !== undefined && { retry_after_s: retryAfterS }),
  };
  return json({ error }, status);
}

function sound(): File {
  return new File([new Uint8Array([1, 2, 3])], "hello.wav");
}

async function failure(work: Promise<unknown>): Promise<EndpointError> {
  const error = await work.then(() => null).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EndpointError);
  return error as EndpointError;
}

test("what is loaded comes under our names, below the path that the page has", async () => {
  answers = [json(ABOUT)];
  const about = await endpoint.about("large");
  expect(asked[0]!.url.pathname + asked[0]!.url.search).toBe(
    "/some/where/v1/bundle?student=large",
  );
  expect(asked[0]!.key).toBe("Bearer dt_key");
  expect(about).toMatchObject({
    channelNames: ["jawOpen"],
    lookAheadMs: null,
    cannotStream: "it hears the whole recording",
    limits: { maxUploadBytes: 64e6, minSeconds: 0.1 },
    formats: [{ name: "csv", suffix: ".csv" }],
    students: ["small", "large"],
  });
});

test("a recording goes up with what was chosen alone, and motion comes back", async () => {
  answers = [
    json({
      fps: 25,
      names: ["jawOpen", "tongueOut"],
      frames: [
        [0.25, 0],
        [0.5, 1],
      ],
    }),
  ];
  const motion = await endpoint.animate(sound(), {
    emotion: "happy",
    emotionIntensity: 0,
    voice: "",
    seed: 7,
  });
  expect(Object.fromEntries(asked[0]!.url.searchParams)).toEqual({
    emotion: "happy",
    emotion_intensity: "0",
    seed: "7",
    format: "json",
  });
  expect((asked[0]!.form!.get("audio") as File).name).toBe("hello.wav");
  expect(motion).toEqual({
    fps: 25,
    names: ["jawOpen", "tongueOut"],
    numFrames: 2,
    weights: new Float32Array([0.25, 0, 0.5, 1]),
  });
});

test("a download is the file in its format, of somebody else's voice if asked", async () => {
  answers = [(_, response) => response.end("time_s,jawOpen\n0,0.5\n")];
  const file = await endpoint.download(
    sound(),
    { reference: new Blob(["x"]) },
    "csv",
  );
  expect(await file.text()).toBe("time_s,jawOpen\n0,0.5\n");
  expect(asked[0]!.url.searchParams.get("format")).toBe("csv");
  expect(asked[0]!.form!.has("reference")).toBe(true);
});

test("voices come page by page; a damaged one has its id for a name", async () => {
  const voice = (id: string, name: string | null) => ({
    id,
    name,
    is_usable: name !== null,
    problem: null,
  });
  answers = [
    json({ voices: [voice("anna-1", "Anna")], next_after: "anna-1" }),
    json({ voices: [voice("bad-2", null)], next_after: null }),
  ];
  const voices = await endpoint.voices();
  expect(voices.map(({ name }) => name)).toEqual(["Anna", "bad-2"]);
  expect(asked.map(({ url }) => url.searchParams.get("after"))).toEqual([
    null,
    "anna-1",
  ]);
});

test("a voice is enrolled from several recordings, and deleted by its id", async () => {
  answers = [
    json({ id: "anna-1", name: "Anna", is_usable: true, problem: null }, 201),
    (_, response) => response.writeHead(204).end(),
  ];
  const voice = await endpoint.enroll("Anna", [sound(), sound()], "small");
  expect(voice).toEqual({
    id: "anna-1",
    name: "Anna",
    isUsable: true,
    problem: null,
  });
  expect(asked[0]!.form!.getAll("audio")).toHaveLength(2);
  expect(asked[0]!.form!.get("name")).toBe("Anna");
  await endpoint.deleteVoice("a/b");
  expect([asked[1]!.method, asked[1]!.url.pathname]).toEqual([
    "DELETE",
    "/some/where/v1/voices/a%2Fb",
  ]);
});

test("a refusal keeps the endpoint's words", async () => {
  answers = [
    refusal(
      413,
      "too_large",
      "the audio lasts 400 s, at most 300 s are allowed; cut it",
    ),
  ];
  const error = await failure(endpoint.animate(sound(), {}));
  expect([error.code, error.message]).toEqual([
    "too_large",
    "the audio lasts 400 s, at most 300 s are allowed; cut it",
  ]);
});

test("a busy endpoint is asked again after a countdown", async () => {
  answers = [
    refusal(429, "busy", "too many wait", 1.2),
    json({ fps: 25, names: [], frames: [] }),
  ];
  const told: number[] = [];
  const begin = performance.now();
  await endpoint.animate(
    sound(),
    {},
    { onWait: (seconds) => told.push(seconds) },
  );
  expect(performance.now() - begin).toBeGreaterThan(1190);
  expect(told).toEqual([2, 1, 0]);
  expect(asked).toHaveLength(2);
  expect((asked[1]!.form!.get("audio") as File).size).toBe(3);
});

test("a proxy's Retry-After counts too, but waiting has an end", async () => {
  answers = [
    (_, response) =>
      response.writeHead(503, { "retry-after": "0" }).end("<html>busy</html>"),
    json(ABOUT),
  ];
  expect((await endpoint.about()).name).toBe("small");
  answers = Array.from({ length: 20 }, () =>
    refusal(429, "busy", "too many wait", 0),
  );
  asked = [];
  expect((await failure(endpoint.about())).code).toBe("busy");
  expect(asked.length).toBeLessThan(20);
  answers = [refusal(429, "busy", "the allowance is used up", 3600)];
  expect((await failure(endpoint.about())).retryAfterS).toBe(3600);
});

test("a wait can be given up", async () => {
  answers = [refusal(429, "busy", "too many wait", 60)];
  const controller = new AbortController();
  const onWait = vi.fn(() => controller.abort());
  const error = await endpoint
    .animate(sound(), {}, { signal: controller.signal, onWait })
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "AbortError" });
  expect(onWait).toHaveBeenCalled();
  expect(asked).toHaveLength(1);
});

test("an endpoint that is not there, and one that says nothing useful, are told in words", async () => {
  answers = [(_, response) => response.writeHead(502).end("<html>")];
  expect((await failure(endpoint.about())).message).toMatch(
    /^127\.0\.0\.1:\d+ answered 502 Bad Gateway/,
  );
  answers = [
    (_, response) =>
      response
        .writeHead(200, { "content-length": "100" })
        .write("{", () => response.destroy()),
  ];
  expect((await failure(endpoint.about())).message).toContain("broke off");
  const gone = new Endpoint("http://127.0.0.1:9/v1/", () => null);
  const error = await failure(gone.about());
  expect([error.code, error.message.slice(0, 45)]).toEqual([
    "unreachable",
    "the endpoint does not answer at 127.0.0.1:9; ",
  ]);
});
