/** Which head is shown. three.js comes when the first one is loaded, after the page stands. */

import { signal } from "@preact/signals";

import type { HeadModel } from "../../head/head";
import { messageOf } from "../words";

export class Heads {
  readonly model = signal<HeadModel | null>(null);
  /** Null: the built-in one. */
  readonly fileName = signal<string | null>(null);
  readonly isLoading = signal(false);
  readonly problem = signal<string | null>(null);

  private numAsked = 0;

  constructor(private readonly builtInUrl: string) {}

  loadBuiltIn(): Promise<void> {
    return this.load(null, () => Promise.resolve(this.builtInUrl));
  }

  /** A GLB with morph targets; the head that is shown stays when it has none. */
  loadFile(file: File): Promise<void> {
    return this.load(file.name, () => file.arrayBuffer());
  }

  private async load(fileName: string | null, source: () => Promise<string | ArrayBuffer>): Promise<void> {
    const asked = (this.numAsked += 1);
    this.isLoading.value = true;
    this.problem.value = null;
    try {
      const { loadHead } = await import("../../head/head");
      const model = await loadHead(await source());
      if (asked !== this.numAsked) return; // another one was chosen meanwhile
      this.model.value = model;
      this.fileName.value = fileName;
    } catch (error) {
      if (asked === this.numAsked)
        this.problem.value = fileName ? `${fileName}: ${messageOf(error)}` : messageOf(error);
    } finally {
      if (asked === this.numAsked) this.isLoading.value = false;
    }
  }
}
