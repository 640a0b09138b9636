/** Frames as they come over a WebSocket: `<IHH` (first frame, frames, channels), then float32, frame by frame. */

import { EndpointError } from "./errors";

const HEADER_BYTES = 8;

export interface Frames {
  /** The number of the first one, counted from the begin of the sound. */
  readonly firstFrame: number;
  readonly numFrames: number;
  /** `numFrames` times one weight per channel. */
  readonly weights: Float32Array;
}

/** @throws EndpointError when the bytes are no whole frames of so many channels. */
export function unpackFrames(bytes: ArrayBuffer, numChannels: number): Frames {
  const view = new DataView(bytes);
  const isWhole = bytes.byteLength >= HEADER_BYTES;
  const numFrames = isWhole ? view.getUint16(4, true) : 0;
  const channels = isWhole ? view.getUint16(6, true) : 0;
  const expected = HEADER_BYTES + 4 * numFrames * channels;
  if (!isWhole || channels !== numChannels || bytes.byteLength !== expected) {
    throw new EndpointError(
      "internal",
      `${bytes.byteLength} bytes came as ${numFrames} frames of ${channels} channels, expected ${expected} bytes of ` +
        `${numChannels} channels; reload the page, which may be older than the endpoint`,
    );
  }
  const weights = new Float32Array(numFrames * channels);
  for (let index = 0; index < weights.length; index++) {
    weights[index] = view.getFloat32(HEADER_BYTES + 4 * index, true);
  }
  return { firstFrame: view.getUint32(0, true), numFrames, weights };
}
