/** The API key: kept for this tab alone, until it is closed. It goes into no address, file or log. */

const ITEM = "diffusiontalker.key";

/** The key that was entered; null when there is none, or where the browser keeps nothing for pages. */
export function storedKey(): string | null {
  try {
    return sessionStorage.getItem(ITEM);
  } catch {
    return null;
  }
}

/** Keeps a key for this tab; an empty one forgets it. */
export function storeKey(key: string): void {
  const trimmed = key.trim();
  if (trimmed) sessionStorage.setItem(ITEM, trimmed);
  else sessionStorage.removeItem(ITEM);
}
