/** Between our names and the JSON of the endpoint (`serving/http/schemas.py`). */

import type { Motion } from "../motion/motion";
import { EndpointError } from "./errors";
import type { About, AnimationParameters, Format, StreamStart, StyleParameters, Voice } from "./types";

/** `GET /v1/bundle`. */
export interface WireAbout {
  name: string;
  digest: string;
  diffusiontalker: string;
  parameters: number;
  file_bytes: number;
  fps: number;
  channel_names: string[];
  speakers: string[];
  emotions: string[];
  num_steps: number;
  temperature: number;
  streams: { look_ahead_ms?: number; cannot?: string };
  limits: {
    min_seconds: number;
    max_seconds: number;
    max_upload_megabytes: number;
    max_references: number;
    max_fps: number;
  };
  formats: Format[];
  students: string[];
}

export interface WireVoice {
  id: string;
  name: string | null;
  is_usable: boolean;
  problem: string | null;
}

interface WireMotion {
  fps: number;
  names: string[];
  frames: number[][];
}

export function aboutOf(wire: WireAbout): About {
  return {
    name: wire.name,
    digest: wire.digest,
    version: wire.diffusiontalker,
    parameters: wire.parameters,
    fileBytes: wire.file_bytes,
    fps: wire.fps,
    channelNames: wire.channel_names,
    speakers: wire.speakers,
    emotions: wire.emotions,
    numSteps: wire.num_steps,
    temperature: wire.temperature,
    lookAheadMs: wire.streams.look_ahead_ms ?? null,
    cannotStream: wire.streams.cannot ?? null,
    limits: {
      minSeconds: wire.limits.min_seconds,
      maxSeconds: wire.limits.max_seconds,
      maxUploadBytes: Math.round(wire.limits.max_upload_megabytes * 1e6),
      maxReferences: wire.limits.max_references,
      maxFps: wire.limits.max_fps,
    },
    formats: wire.formats,
    students: wire.students,
  };
}

export function voiceOf(wire: WireVoice): Voice {
  return { id: wire.id, name: wire.name ?? wire.id, isUsable: wire.is_usable, problem: wire.problem };
}

export function motionOf(wire: WireMotion): Motion {
  const { fps, names, frames } = wire;
  const weights = new Float32Array(frames.length * names.length);
  frames.forEach((frame, index) => {
    if (frame.length !== names.length) {
      throw new EndpointError(
        "internal",
        `the endpoint's frame ${index} holds ${frame.length} weights, expected ${names.length}; try again`,
      );
    }
    weights.set(frame, index * names.length);
  });
  return { fps, names, numFrames: frames.length, weights };
}

/** Parameters as a URL has them; what is not set is left out. */
export function queryOf(parameters: AnimationParameters, format: string): URLSearchParams {
  const wanted = { ...styleFields(parameters), fps: parameters.fps, format };
  return new URLSearchParams(
    Object.entries(wanted)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value)]),
  );
}

/** The first message of a stream. */
export function startMessage(start: StreamStart, key: string | null): string {
  return JSON.stringify({
    type: "start",
    ...styleFields(start),
    sample_rate_hz: start.sampleRateHz,
    sample_format: "int16",
    frames: "binary",
    ...(key && { key }),
  });
}

function styleFields(style: StyleParameters): Record<string, string | number | undefined> {
  return {
    student: style.student || undefined,
    voice: style.voice || undefined,
    emotion: style.emotion || undefined,
    emotion_intensity: style.emotionIntensity,
    num_steps: style.numSteps,
    temperature: style.temperature,
    seed: style.seed,
  };
}
