/** What the endpoint hosts: students with what they know, and the voices that were enrolled. */

import { computed, signal } from "@preact/signals";

import { EndpointError, storeKey, type About, type Endpoint, type Voice, type WaitOptions } from "../../endpoint";
import { messageOf } from "../words";

/** No key or an unknown one, and one that was switched off: another key helps with both. */
const KEY_CODES = new Set(["unauthenticated", "forbidden"]);

export class Catalogue {
  /** By the name that settings have; the first student is also under "". */
  readonly abouts = signal<ReadonlyMap<string, About>>(new Map());
  readonly voices = signal<ReadonlyMap<string, readonly Voice[]>>(new Map());
  readonly isLoading = signal(true);
  readonly problem = signal<string | null>(null);
  /** Why a key is asked for, in the endpoint's words; null: none is needed now. */
  readonly keyWanted = signal<string | null>(null);

  /** All students by name; empty until something has been heard of the endpoint. */
  readonly students = computed<readonly string[]>(() => this.abouts.value.get("")?.students ?? []);

  constructor(private readonly endpoint: Endpoint) {}

  /** Asks for the first student and those that settings name. */
  async load(names: readonly string[] = []): Promise<void> {
    this.isLoading.value = true;
    this.problem.value = null;
    try {
      await this.loadStudent("");
      const known = new Set(names.filter((name) => this.students.value.includes(name)));
      await Promise.all([...known].map((name) => this.loadStudent(name)));
      this.keyWanted.value = null;
    } catch (error) {
      if (!this.asksForKey(error)) {
        this.problem.value = messageOf(error);
        this.keyWanted.value = null; // the way on is "Try again"
      }
    } finally {
      this.isLoading.value = false;
    }
  }

  /** Makes sure that a student's facts are here. */
  async choose(student: string): Promise<void> {
    if (this.abouts.peek().has(student)) return;
    try {
      await this.loadStudent(student);
    } catch (error) {
      if (!this.asksForKey(error)) this.problem.value = messageOf(error);
    }
  }

  /** Keeps a key for this tab and asks again. */
  async enterKey(key: string, names: readonly string[]): Promise<void> {
    storeKey(key);
    await this.load(names);
  }

  /** @throws EndpointError in words. */
  async enroll(name: string, sound: Blob, student: string, options?: WaitOptions): Promise<Voice> {
    const voice = await this.endpoint.enroll(name, [sound], student || undefined, options);
    await this.loadAllVoices();
    return voice;
  }

  /** @throws EndpointError in words. */
  async deleteVoice(id: string, student: string, options?: WaitOptions): Promise<void> {
    await this.endpoint.deleteVoice(id, student || undefined, options);
    await this.loadAllVoices();
  }

  /** Whether an error means that a key is needed; then somebody is asked for it. */
  asksForKey(error: unknown): boolean {
    if (!(error instanceof EndpointError) || !KEY_CODES.has(error.code)) return false;
    this.keyWanted.value = error.message;
    return true;
  }

  private async loadStudent(student: string): Promise<void> {
    const about = await this.endpoint.about(student || undefined);
    const abouts = new Map(this.abouts.value).set(student, about);
    if (!student && about.students[0]) abouts.set(about.students[0], about);
    this.abouts.value = abouts;
    await this.loadVoices(student);
  }

  /** Of all students that were looked at: each lists the voices of the others, too. */
  private async loadAllVoices(): Promise<void> {
    const [first] = this.students.peek();
    const names = [...this.voices.peek().keys()].filter((name) => name !== first);
    await Promise.all(names.map((name) => this.loadVoices(name)));
  }

  private async loadVoices(student: string): Promise<void> {
    const voices = await this.endpoint.voices(student || undefined);
    const all = new Map(this.voices.value).set(student, voices);
    const first = this.students.value[0];
    if (first && student === "") all.set(first, voices);
    if (first && student === first) all.set("", voices);
    this.voices.value = all;
  }
}
