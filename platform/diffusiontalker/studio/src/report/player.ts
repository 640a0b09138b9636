/** The player that reports carry. */
export {};
