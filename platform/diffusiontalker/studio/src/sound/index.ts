/** Sound: from files and the microphone, drawn, measured and written. */

export { Microphone, microphones, type Device } from "./microphone";
export { peaksOf, type Peaks } from "./peaks";
export { Recorder } from "./recorder";
export { SoundError, soundOf, type Sound } from "./sound";
export { toInt16, wavOf } from "./wav";
