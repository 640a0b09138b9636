/**
 * Runs on the audio thread: sends the microphone's sound to the page in pieces, each with the number of its first
 * sample since the audio context began. A file of its own, because the page's security policy allows no other scripts.
 */

/** The longest piece; sound comes in blocks of 128 samples. */
const PIECE_S = 0.02;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.begin();
  }

  begin() {
    this.piece = new Float32Array(Math.floor((PIECE_S * sampleRate) / 128) * 128);
    this.filled = 0;
  }

  process([input]) {
    const samples = input[0];
    if (!samples) return true; // the source has not begun, or has stopped
    if (!this.filled) this.firstSample = currentFrame;
    this.piece.set(samples, this.filled);
    this.filled += samples.length;
    if (this.filled >= this.piece.length) {
      this.port.postMessage({ firstSample: this.firstSample, samples: this.piece }, [this.piece.buffer]);
      this.begin();
    }
    return true;
  }
}

registerProcessor("capture", Capture);
