/** HTTP requests with words for what goes wrong, and patience with an endpoint that is busy. */

import { EndpointError, errorOf, unreachable } from "./errors";
import type { WaitOptions } from "./types";

/** How often, and for how long in all, a busy endpoint is asked again. */
const MOST_WAITS = 8;
const MOST_WAITED_S = 120;

const PATIENT_CODES = new Set(["busy", "unavailable"]);

export interface Request {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly body?: FormData;
  readonly key: string | null;
}

/** What work gives that is refused while the endpoint is busy: done again when it says, a few times at most. */
export async function patiently<T>(work: () => Promise<T>, { signal, onWait }: WaitOptions = {}): Promise<T> {
  let waitedS = 0;
  for (let waits = 0; ; waits++) {
    try {
      return await work();
    } catch (error) {
      const seconds = error instanceof EndpointError && PATIENT_CODES.has(error.code) ? error.retryAfterS : null;
      if (seconds === null || waits >= MOST_WAITS || waitedS + seconds > MOST_WAITED_S) throw error;
      await countDown(seconds, { signal, onWait });
      waitedS += seconds;
    }
  }
}

/**
 * The answer to a request that succeeded.
 *
 * @throws EndpointError in the endpoint's words; DOMException `AbortError` when the caller's signal ended it.
 */
export async function ask(url: string, request: Request, options: WaitOptions = {}): Promise<Response> {
  return patiently(async () => {
    const response = await send(url, request, options.signal);
    if (!response.ok) throw await problemOf(response);
    return response;
  }, options);
}

/** The JSON of an answer. */
export async function askJson<T>(url: string, request: Request, options: WaitOptions = {}): Promise<T> {
  const response = await ask(url, request, options);
  return read(() => response.json() as Promise<T>, url);
}

/** The bytes of an answer. */
export async function askBlob(url: string, request: Request, options: WaitOptions = {}): Promise<Blob> {
  const response = await ask(url, request, options);
  return read(() => response.blob(), url);
}

/** Waits, telling every second how many are left. */
async function countDown(seconds: number, { signal, onWait }: WaitOptions): Promise<void> {
  const endMs = performance.now() + 1000 * seconds;
  for (let left = Math.ceil(seconds); left > 0; left--) {
    onWait?.(left);
    await pause(endMs - 1000 * (left - 1) - performance.now(), signal);
  }
  onWait?.(0);
}

async function send(url: string, { method = "GET", body, key }: Request, signal?: AbortSignal): Promise<Response> {
  const headers: HeadersInit = key ? { authorization: `Bearer ${key}` } : {};
  try {
    return await fetch(url, { method, body, headers, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable(url);
  }
}

async function read<T>(body: () => Promise<T>, url: string): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new EndpointError(
      "unreachable",
      `the answer of ${new URL(url).host} broke off; check the network and try again`,
    );
  }
}

async function problemOf(response: Response): Promise<EndpointError> {
  const error = errorOf(await response.json().catch(() => null));
  const header = Number(response.headers.get("retry-after") ?? NaN);
  const retryAfterS = Number.isFinite(header) ? header : null;
  if (error) return error.retryAfterS === null ? new EndpointError(error.code, error.message, retryAfterS) : error;
  const code = response.status === 429 ? "busy" : response.status === 503 ? "unavailable" : "internal";
  const status = `${response.status} ${response.statusText}`.trim();
  return new EndpointError(
    code,
    `${new URL(response.url).host} answered ${status} without a reason, so it was perhaps a proxy; try again`,
    retryAfterS,
  );
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
