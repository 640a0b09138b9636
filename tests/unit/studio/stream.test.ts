// @vitest-environment node
import { createRequire } from "node:module";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  Endpoint,
  type EndpointError,
  type Frames,
} from "../../../platform/diffusiontalker/studio/src/endpoint";
import { unpackFrames } from "../../../platform/diffusiontalker/studio/src/endpoint/frames";

const sockets = createRequire(import.meta.url)("ws"); // Node 20 has no WebSocket of its own

class BrowserSocket extends sockets.WebSocket {
  constructor(url: string) {
    super(url);
    this.onerror = () => {}; // which Node, unlike browsers, insists on
  }
}
vi.stubGlobal("WebSocket", BrowserSocket);

interface Peer {
  send(message: string | Uint8Array): void;
  close(code: number, reason?: string): void;
  terminate(): void;
  on(
    event: "message",
    listener: (data: Buffer, isBinary: boolean) => void,
  ): void;
}

const READY = JSON.stringify({
  type: "ready",
  fps: 30,
  channel_names: ["jawOpen", "tongueOut"],
  look_ahead_ms: 193.8,
});

let server: {
  address(): { port: number };
  close(): void;
  clients: Set<Peer>;
  on(event: string, on: unknown): void;
};
let endpoint: Endpoint;
let said: (string | Buffer)[];
let onMessage: (peer: Peer, message: string | Buffer) => void;

beforeEach(async () => {
  said = [];
  server = new sockets.WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (peer: Peer) =>
    peer.on("message", (data, isBinary) => {
      said.push(isBinary ? data : data.toString());
      onMessage(peer, said.at(-1)!);
    }),
  );
  await new Promise((resolve) => server.on("listening", resolve));
  endpoint = new Endpoint(
    `http://127.0.0.1:${server.address().port}/v1/`,
    () => "dt_key",
  );
});

afterEach(() => {
  server.clients.forEach((peer) => peer.terminate());
  server.close();
});

function packed(firstFrame: number, weights: number[][]): Uint8Array {
  const bytes = Buffer.alloc(8 + 4 * weights.flat().length);
  bytes.writeUInt32LE(firstFrame, 0);
  bytes.writeUInt16LE(weights.length, 4);
  bytes.writeUInt16LE(weights[0]!.length, 6);
  weights
    .flat()
    .forEach((weight, index) => bytes.writeFloatLE(weight, 8 + 4 * index));
  return bytes;
}

async function ended(stream: {
  onEnd: ((error: EndpointError | null) => void) | null;
}): Promise<EndpointError | null> {
  return new Promise((resolve) => (stream.onEnd = resolve));
}

test("sound goes out as 16 bit samples, frames come back by number, the end comes last", async () => {
  onMessage = (peer, message) => {
    if (typeof message !== "string")
      peer.send(
        packed(3, [
          [0.25, 0],
          [0.5, 1],
        ]),
      );
    else if (message.includes("start")) peer.send(READY);
    else peer.send('{"type":"end","num_frames":2}');
  };
  const stream = endpoint.stream({
    sampleRateHz: 48_000,
    emotion: "happy",
    voice: "",
  });
  const frames: Frames[] = [];
  stream.onFrames = (piece) => frames.push(piece);
  expect(await stream.ready).toEqual({
    fps: 30,
    names: ["jawOpen", "tongueOut"],
    lookAheadMs: 193.8,
  });
  stream.send(new Int16Array([1, -2]));
  stream.end();
  expect(await ended(stream)).toBeNull();
  expect(JSON.parse(said[0] as string)).toEqual({
    type: "start",
    sample_rate_hz: 48_000,
    sample_format: "int16",
    frames: "binary",
    emotion: "happy",
    key: "dt_key",
  });
  expect([...(said[1] as Buffer)]).toEqual([1, 0, 254, 255]);
  expect(frames).toEqual([
    {
      firstFrame: 3,
      numFrames: 2,
      weights: new Float32Array([0.25, 0, 0.5, 1]),
    },
  ]);
});

test("a refusal is told once, in the endpoint's words", async () => {
  onMessage = (peer) => {
    peer.send(
      '{"type":"error","error":{"code":"busy","message":"64 streams are open","retry_after_s":2}}',
    );
    peer.close(1013, "busy: 64 streams are open");
  };
  const stream = endpoint.stream({ sampleRateHz: 16_000 });
  const onEnd = vi.fn();
  stream.onEnd = onEnd;
  await expect(stream.ready).rejects.toMatchObject({
    code: "busy",
    message: "64 streams are open",
    retryAfterS: 2,
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(onEnd).toHaveBeenCalledOnce();
});

test("a close without a message gives its reason", async () => {
  onMessage = (peer) => peer.close(1008, "unauthenticated: the key is unknown");
  await expect(
    endpoint.stream({ sampleRateHz: 16_000 }).ready,
  ).rejects.toMatchObject({
    code: "unauthenticated",
    message: "the key is unknown",
  });
});

test("a connection that breaks is told from one that never was", async () => {
  onMessage = (peer, message) =>
    typeof message === "string" ? peer.send(READY) : peer.terminate();
  const stream = endpoint.stream({ sampleRateHz: 16_000 });
  await stream.ready;
  stream.send(new Int16Array(1));
  expect((await ended(stream))!.message).toContain("broke off");
  const nowhere = new Endpoint("http://127.0.0.1:9/v1/", () => null).stream({
    sampleRateHz: 16_000,
  });
  await expect(nowhere.ready).rejects.toMatchObject({
    message: expect.stringContaining("127.0.0.1:9"),
  });
});

test("a network that takes no sound ends the stream instead of filling the memory", async () => {
  onMessage = (peer) => peer.send(READY);
  const stream = endpoint.stream({ sampleRateHz: 8_000 });
  await stream.ready;
  const end = ended(stream);
  for (let second = 0; second < 4000; second++)
    stream.send(new Int16Array(8_000));
  expect((await end)!.code).toBe("too_slow");
  const before = said.length;
  stream.send(new Int16Array(1));
  expect(said.length).toBe(before);
});

test("bytes that are no whole frames are refused", () => {
  const bytes = (content: Uint8Array): ArrayBuffer =>
    new Uint8Array(content).buffer;
  expect(unpackFrames(bytes(packed(70_000, [[1]])), 1).firstFrame).toBe(70_000);
  for (const damaged of [packed(0, [[1]]).subarray(0, 11), new Uint8Array(3)]) {
    expect(() => unpackFrames(bytes(damaged), 1)).toThrow(/reload the page/);
  }
  expect(() => unpackFrames(bytes(packed(0, [[1]])), 2)).toThrow(
    /of 1 channels/,
  );
});
