/** Text that tries to break a page: every component shows it as text. */
export const HOSTILE = {
  markup: '<img src=x onerror="alert(1)"><b>bold</b>',
  rightToLeft: "خادم قاعدة البيانات متوقف عن العمل",
  bidi: "invoice\u202Egnp.exe",
  long: "a-word-without-any-break-".repeat(8),
  emoji: "🧯 smoke in 🏢 hall 4 👩‍🚒",
} as const;

export const NOW = Date.now();

/** A series that looks like traffic: a wave with some noise, the same on each load. */
export function wave(count: number, base: number, height: number, seed = 1): number[] {
  let state = seed * 7919;
  const noise = () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  return Array.from({ length: count }, (_, index) =>
    Math.round(base + height * (0.5 + 0.4 * Math.sin(index / 6 + seed)) + noise() * height * 0.35),
  );
}

/** So many instants up to now. */
export function lastMinutes(count: number): number[] {
  const end = Math.floor(NOW / 60_000) * 60_000;
  return Array.from({ length: count }, (_, index) => end - (count - 1 - index) * 60_000);
}

export const PAYLOAD = {
  type: "host.down",
  host: "db-2",
  seconds: 31.5,
  critical: true,
  owner: null,
  tags: ["database", "frankfurt", HOSTILE.rightToLeft],
  probe: { id: "probe-fra", location: { city: "Frankfurt", rack: { row: 4, unit: 12 } }, empty: {}, none: [] },
  note: HOSTILE.markup,
  log: "connection refused ".repeat(40),
  samples: Array.from({ length: 130 }, (_, index) => index * 3),
};
