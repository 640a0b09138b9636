/** The endpoint's interface, typed. */

export { Endpoint } from "./endpoint";
export { EndpointError } from "./errors";
export type { Frames } from "./frames";
export { storedKey, storeKey } from "./key";
export { patiently } from "./requests";
export { LiveStream, type StreamReady } from "./stream";
export type * from "./types";
