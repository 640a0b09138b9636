/** How components reach what the page is about. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";

import type { Workbench } from "./state/workbench";

export const BenchContext = createContext<Workbench | null>(null);

export function useBench(): Workbench {
  const bench = useContext(BenchContext);
  if (!bench) throw new Error("a component stands outside of BenchContext.Provider");
  return bench;
}
