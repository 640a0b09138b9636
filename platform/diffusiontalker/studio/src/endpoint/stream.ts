/** One live stream over a WebSocket. It begins once and ends once, with an error or without. */

import { EndpointError, errorOf, unreachable } from "./errors";
import { unpackFrames, type Frames } from "./frames";

/** Sound that may wait in the browser for the network, in seconds, before the stream is given up. */
const MOST_UNSENT_S = 3;

export interface StreamReady {
  readonly fps: number;
  readonly names: readonly string[];
  /** How much sound after its instant a frame needs. */
  readonly lookAheadMs: number;
}

export class LiveStream {
  /** Settles before anything else is heard of: with what the stream gives, or with why there is none. */
  readonly ready: Promise<StreamReady>;
  /** Called with frames as they come. */
  onFrames: ((frames: Frames) => void) | null = null;
  /** Called once, after the last frame; null: everything that was sent has been animated. */
  onEnd: ((error: EndpointError | null) => void) | null = null;

  private readonly socket: WebSocket;
  private facts: StreamReady | null = null;
  private isOver = false;
  private settle!: { resolve: (facts: StreamReady) => void; reject: (error: EndpointError) => void };

  constructor(
    url: string,
    start: string,
    private readonly sampleRateHz: number,
  ) {
    this.ready = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
    this.ready.catch(() => {}); // whoever waits for it is told; where nobody does, `onEnd` says the same
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.socket.send(start);
    this.socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.take(event.data);
    this.socket.onclose = (event) => this.finish(closed(event, this.facts ? null : url));
  }

  /** Sends sound, in pieces of any size; nothing once the stream is over. */
  send(samples: Int16Array<ArrayBuffer>): void {
    if (this.isOver || this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(samples);
    if (this.socket.bufferedAmount > 2 * this.sampleRateHz * MOST_UNSENT_S) {
      this.finish(
        new EndpointError(
          "too_slow",
          `the connection is too slow: ${MOST_UNSENT_S} s of sound could not be sent in time; use a better network, or ` +
            "animate a recording",
        ),
      );
    }
  }

  /** Says that no more sound comes; the last frames follow, then `onEnd`. */
  end(): void {
    if (!this.isOver && this.socket.readyState === WebSocket.OPEN) this.socket.send('{"type":"end"}');
  }

  /** Ends at once, whatever is under way. */
  close(): void {
    this.finish(null);
  }

  private take(message: string | ArrayBuffer): void {
    if (this.isOver) return;
    try {
      if (typeof message === "string") this.takeText(message);
      else this.onFrames?.(unpackFrames(message, this.facts?.names.length ?? 0));
    } catch (error) {
      this.finish(error instanceof EndpointError ? error : new EndpointError("internal", String(error)));
    }
  }

  private takeText(text: string): void {
    const message = JSON.parse(text) as Record<string, unknown>;
    if (message.type === "ready") {
      this.facts = {
        fps: message.fps as number,
        names: message.channel_names as string[],
        lookAheadMs: message.look_ahead_ms as number,
      };
      this.settle.resolve(this.facts);
    } else if (message.type === "end") {
      this.finish(null);
    } else if (message.type === "error") {
      this.finish(errorOf(message) ?? new EndpointError("internal", `the endpoint said ${text}; try again`));
    }
  }

  private finish(error: EndpointError | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.settle.reject(error ?? new EndpointError("internal", "the stream was closed before it began; try again"));
    this.socket.close();
    this.onEnd?.(error);
  }
}

/** What a close says that no message came before; `url` where the stream had not begun. */
function closed(event: CloseEvent, url: string | null): EndpointError {
  const [, code, message] = /^(\w+): (.+)$/.exec(event.reason) ?? [];
  if (code && message) return new EndpointError(code, message);
  if (event.code === 1006) {
    return url ? unreachable(url) : new EndpointError("unreachable", "the connection broke off; check the network");
  }
  return new EndpointError(
    "unavailable",
    `the endpoint ended the stream (${event.code}${event.reason && `, ${event.reason}`}); try again`,
  );
}
