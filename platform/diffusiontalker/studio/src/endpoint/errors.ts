/** What the endpoint refuses, and what lies between it and the page, in words for people. */

export class EndpointError extends Error {
  /**
   * @param code the cause, for programs: one of the endpoint's (docs/serving.md), or `unreachable` where nothing answered.
   * @param message the endpoint's own words where it said any.
   * @param retryAfterS when to try again, in seconds, where that helps; null elsewhere.
   */
  constructor(
    readonly code: string,
    message: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
    this.name = "EndpointError";
  }
}

/** The error that a JSON body `{"error": {"code", "message", "retry_after_s"?}}` tells; null when it tells none. */
export function errorOf(body: unknown): EndpointError | null {
  const detail = isRecord(body) ? body.error : null;
  if (!isRecord(detail) || typeof detail.message !== "string") return null;
  const code = typeof detail.code === "string" ? detail.code : "internal";
  const retryAfterS = typeof detail.retry_after_s === "number" ? detail.retry_after_s : null;
  return new EndpointError(code, detail.message, retryAfterS);
}

/** The one error for a server that cannot be reached. */
export function unreachable(url: string): EndpointError {
  return new EndpointError(
    "unreachable",
    `the endpoint does not answer at ${new URL(url).host}; check that it runs and that the network is there, then try again`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
