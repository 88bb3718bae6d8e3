const GROUP = "\u202f"; // a narrow no-break space between groups of three digits

const integers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const decimals = new Map<number, Intl.NumberFormat>();

function withDigits(digits: number): Intl.NumberFormat {
  if (digits === 0) return integers;
  const known = decimals.get(digits) ?? new Intl.NumberFormat("en", { maximumFractionDigits: digits });
  decimals.set(digits, known);
  return known;
}

/** 18402 → "18 402". @param digits at most so many decimals. */
export function formatNumber(n: number, digits = 0): string {
  return Number.isFinite(n) ? withDigits(digits).format(n).replaceAll(",", GROUP) : "—";
}

/** 1234567 → "1.2 M", for axes and small badges. */
export function formatCompact(n: number): string {
  const size = Math.abs(n);
  if (size < 10_000) return formatNumber(n, size < 10 ? 2 : size < 100 ? 1 : 0);
  const [by, unit] = size < 1e6 ? [1e3, "k"] : size < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${formatNumber(n / by, 1)}${GROUP}${unit}`;
}

/** A fraction: 0.974 → "97.4 %". */
export function formatPercent(fraction: number, digits = 1): string {
  return Number.isFinite(fraction) ? `${formatNumber(fraction * 100, digits)}${GROUP}%` : "—";
}

/** 12400000000 → "12.4 GB" (decimal units). */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return "—";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${formatNumber(value, unit === 0 || Math.abs(value) >= 100 ? 0 : 1)}${GROUP}${units[unit]}`;
}

const STEPS = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "min", ms: 60_000 },
  { unit: "s", ms: 1000 },
] as const;

/** 0.3 → "0.3 ms", 12500 → "12.5 s", 3720000 → "1 h 2 min"; two units at most. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "—";
  const size = Math.abs(ms);
  const sign = ms < 0 ? "−" : "";
  if (size < 1000) return `${sign}${formatNumber(size, size < 10 ? 1 : 0)}${GROUP}ms`;
  if (size < 60_000) return `${sign}${formatNumber(size / 1000, size < 20_000 ? 1 : 0)}${GROUP}s`;
  const first = STEPS.findIndex((step) => size >= step.ms);
  const parts: string[] = [];
  let rest = Math.round(size / 1000) * 1000;
  for (const step of STEPS.slice(first, first + 2)) {
    const count = Math.floor(rest / step.ms);
    rest -= count * step.ms;
    if (count > 0) parts.push(`${count}${GROUP}${step.unit}`);
  }
  return sign + parts.join(" ");
}

/** plural(3, "job") → "3 jobs"; @param many the irregular plural, default one + "s". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatNumber(n)} ${n === 1 ? one : many}`;
}
