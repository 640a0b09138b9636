/** Which files the endpoint reads itself, told by how they begin: names may say anything. */

export type Kind = "wav" | "flac" | "ogg" | "mp3";

/** The kind of a file that the endpoint can read; null for all others. */
export function readableKind(begin: Uint8Array): Kind | null {
  const text = (from: number, to: number): string => String.fromCharCode(...begin.subarray(from, to));
  if (text(0, 4) === "RIFF" && text(8, 12) === "WAVE") return "wav";
  if (text(0, 4) === "fLaC") return "flac";
  if (text(0, 4) === "OggS") return text(28, 35) === "\x7fFLAC" || isSpeech(text(28, 36)) ? "ogg" : null;
  if (text(0, 3) === "ID3") return "mp3";
  const isFrame = begin[0] === 0xff && (begin[1]! & 0xe0) === 0xe0;
  const isLayer3 = (begin[1]! & 0x06) === 0x02;
  return isFrame && isLayer3 ? "mp3" : null;
}

/** Whether the first packet of an Ogg file is of Vorbis or Opus; other codecs, and videos, are decoded here. */
function isSpeech(packet: string): boolean {
  return packet.startsWith("\x01vorbis") || packet === "OpusHead";
}
