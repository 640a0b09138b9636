/** Small pictures, drawn with lines in the colour of the text. */

const PATHS = {
  play: "M6 4.5v11l9.5-5.5z",
  pause: "M7 4.5v11M13 4.5v11",
  stop: "M5.5 5.5h9v9h-9z",
  microphone:
    "M10 2.5a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0V5A2.5 2.5 0 0 1 10 2.5zM4.5 10a5.5 5.5 0 0 0 11 0M10 15.5v2.5",
  file: "M5 2.5h6l4 4v11H5zM11 2.5v4h4M8 12.5v2M10 10.5v4M12 11.5v3",
  dice: "M5.5 3h9A2.5 2.5 0 0 1 17 5.5v9a2.5 2.5 0 0 1-2.5 2.5h-9A2.5 2.5 0 0 1 3 14.5v-9A2.5 2.5 0 0 1 5.5 3zM7 7h.01M13 7h.01M10 10h.01M7 13h.01M13 13h.01",
  loop: "M4 9.5V8a2.5 2.5 0 0 1 2.5-2.5H16M13.5 3 16 5.5 13.5 8M16 10.5V12a2.5 2.5 0 0 1-2.5 2.5H4M6.5 17 4 14.5 6.5 12",
  view: "M3 7V4.5A1.5 1.5 0 0 1 4.5 3H7M13 3h2.5A1.5 1.5 0 0 1 17 4.5V7M17 13v2.5a1.5 1.5 0 0 1-1.5 1.5H13M7 17H4.5A1.5 1.5 0 0 1 3 15.5V13M10 8a2 2 0 1 1 0 4 2 2 0 0 1 0-4z",
  share:
    "M8.5 11.5a3.2 3.2 0 0 0 4.6 0l2.9-2.9A3.25 3.25 0 0 0 11.4 4L10 5.4M11.5 8.5a3.2 3.2 0 0 0-4.6 0L4 11.4A3.25 3.25 0 0 0 8.6 16l1.4-1.4",
  download: "M10 3v9.5M6 9l4 4 4-4M4 16.5h12",
  light:
    "M10 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M15.7 4.3l-1.1 1.1M5.4 14.6l-1.1 1.1",
  dark: "M16 11.8A6.5 6.5 0 0 1 8.2 4a6.5 6.5 0 1 0 7.8 7.8z",
  head: "M10 2.5c3.2 0 5.3 2.3 5.3 5.6 0 4-2.5 9.4-5.3 9.4s-5.3-5.4-5.3-9.4c0-3.3 2.1-5.6 5.3-5.6zM7.5 8.7h.9M11.6 8.7h.9M8.3 13.4c1 .7 2.4.7 3.4 0",
  close: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  more: "M8 5.5l4.5 4.5L8 14.5",
  warning: "M10 3 18 16.5H2zM10 8v4M10 14.2h.01",
  wave: "M2.5 8.5v3M6 5.5v9M10 2.5v15M14 6v8M17.5 8.5v3",
  list: "M3.5 6h8M15 6h1.5M3.5 14H5M8.5 14h8M13 4v4M6.7 12v4",
  check: "M4 10.5l4 4 8-9",
} as const;

const FILLED = new Set<string>(["play", "stop"]);

export type IconName = keyof typeof PATHS;

/** A decoration: what it stands for is said by the text or the label beside it. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill={FILLED.has(name) ? "currentColor" : "none"}
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
