/** The endpoint that serves this page: everything that its HTTP and WebSocket interface offers to the Studio. */

import type { Motion } from "../motion/motion";
import { storedKey } from "./key";
import { ask, askBlob, askJson } from "./requests";
import { LiveStream } from "./stream";
import type { About, AnimationParameters, StreamStart, Voice, WaitOptions } from "./types";
import { aboutOf, motionOf, queryOf, startMessage, voiceOf, type WireAbout, type WireVoice } from "./wire";

const VOICES_PER_PAGE = 200;

export class Endpoint {
  /**
   * @param base where the interface begins; by default beside the page: `<prefix>/studio/` belongs to `<prefix>/v1/`.
   * @param key tells the API key, if there is one.
   */
  constructor(
    private readonly base: string = new URL("../v1/", location.href).href,
    private readonly key: () => string | null = storedKey,
  ) {}

  async about(student?: string, options: WaitOptions = {}): Promise<About> {
    return aboutOf(await askJson<WireAbout>(this.url("bundle", { student }), { key: this.key() }, options));
  }

  /** All enrolled voices, by id. */
  async voices(student?: string): Promise<Voice[]> {
    const voices: Voice[] = [];
    let after: string | undefined;
    do {
      const url = this.url("voices", { student, limit: String(VOICES_PER_PAGE), after });
      const page = await askJson<{ voices: WireVoice[]; next_after: string | null }>(url, { key: this.key() });
      voices.push(...page.voices.map(voiceOf));
      after = page.next_after ?? undefined;
    } while (after !== undefined);
    return voices;
  }

  /** A new voice from recordings of one speaker. */
  async enroll(name: string, files: readonly Blob[], student?: string, options: WaitOptions = {}): Promise<Voice> {
    const body = new FormData();
    body.append("name", name);
    for (const file of files) body.append("audio", file, nameOf(file));
    const url = this.url("voices", { student });
    return voiceOf(await askJson<WireVoice>(url, { method: "POST", body, key: this.key() }, options));
  }

  async deleteVoice(id: string, student?: string, options: WaitOptions = {}): Promise<void> {
    const url = this.url(`voices/${encodeURIComponent(id)}`, { student });
    await ask(url, { method: "DELETE", key: this.key() }, options);
  }

  /** The motion of a recording: wav, flac, ogg or mp3. */
  async animate(sound: Blob, parameters: AnimationParameters, options: WaitOptions = {}): Promise<Motion> {
    return motionOf(await askJson(...this.animation(sound, parameters, "json"), options));
  }

  /** The same as a file in one of `About.formats`. */
  async download(
    sound: Blob,
    parameters: AnimationParameters,
    format: string,
    options: WaitOptions = {},
  ): Promise<Blob> {
    return askBlob(...this.animation(sound, parameters, format), options);
  }

  /** Sound in, frames out, at the same time. */
  stream(start: StreamStart): LiveStream {
    const url = new URL("stream", this.base);
    url.protocol = url.protocol.replace("http", "ws");
    return new LiveStream(url.href, startMessage(start, this.key()), start.sampleRateHz);
  }

  private animation(sound: Blob, parameters: AnimationParameters, format: string) {
    const body = new FormData();
    body.append("audio", sound, nameOf(sound));
    if (parameters.reference) body.append("reference", parameters.reference, nameOf(parameters.reference));
    const url = `${new URL("animations", this.base).href}?${queryOf(parameters, format)}`;
    return [url, { method: "POST", body, key: this.key() }] as const;
  }

  private url(path: string, parameters: Record<string, string | undefined>): string {
    const url = new URL(path, this.base);
    for (const [name, value] of Object.entries(parameters)) if (value) url.searchParams.set(name, value);
    return url.href;
  }
}

/** What messages of the endpoint call a recording. */
function nameOf(sound: Blob): string {
  return sound instanceof File ? sound.name : "recording";
}
