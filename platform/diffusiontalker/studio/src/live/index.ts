/** Live: the face moves while somebody speaks. */

export { LiveSession, type LatencyParts, type LiveState } from "./session";
