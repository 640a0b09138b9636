/** What the endpoint says and is asked, under our names; `wire.ts` knows how it is spelt on the way. */

/** What one request may ask for. */
export interface Limits {
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly maxUploadBytes: number;
  readonly maxReferences: number;
  readonly maxFps: number;
}

/** A format that results can be downloaded in. */
export interface Format {
  readonly name: string;
  /** How its files end, with the point. */
  readonly suffix: string;
}

/** What is loaded: of one student. */
export interface About {
  readonly name: string;
  readonly digest: string;
  readonly version: string;
  readonly parameters: number;
  readonly fileBytes: number;
  readonly fps: number;
  readonly channelNames: readonly string[];
  /** Voices that the student was trained with. */
  readonly speakers: readonly string[];
  readonly emotions: readonly string[];
  readonly numSteps: number;
  readonly temperature: number;
  /** Of live streams; null when the student cannot stream, for the reason in `cannotStream`. */
  readonly lookAheadMs: number | null;
  readonly cannotStream: string | null;
  readonly limits: Limits;
  readonly formats: readonly Format[];
  /** All that are hosted, the first is the one that speaks unless another is asked for. */
  readonly students: readonly string[];
}

/** An enrolled voice. */
export interface Voice {
  readonly id: string;
  readonly name: string;
  /** Whether it was enrolled with the student that is loaded. */
  readonly isUsable: boolean;
  /** What is wrong with a damaged one. */
  readonly problem: string | null;
}

/** Who speaks, how they feel, and which of the possible animations. What is left out is as the student has it. */
export interface StyleParameters {
  readonly student?: string;
  /** Id of an enrolled voice, or a speaker of the student. */
  readonly voice?: string;
  readonly emotion?: string;
  /** 0 neutral, 1 as trained, 2 exaggerated. */
  readonly emotionIntensity?: number;
  readonly numSteps?: number;
  readonly temperature?: number;
  readonly seed?: number;
}

export interface AnimationParameters extends StyleParameters {
  readonly fps?: number;
  /** Somebody's recording, whose voice to take. */
  readonly reference?: Blob;
}

export interface StreamStart extends StyleParameters {
  readonly sampleRateHz: number;
}

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Told once a second how many seconds are left until a busy endpoint is asked again; 0 when it is being asked. */
  readonly onWait?: (secondsLeft: number) => void;
}
