import type { About } from "../../endpoint";

/** Something that was chosen for another student, or in an address from elsewhere. */
export function notHere(name: string, about: About | undefined): string {
  return about ? `${name} (not here)` : name;
}
