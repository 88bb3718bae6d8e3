/** What one look at the installation found. */
export interface Check {
  readonly name: string;
  readonly status: "PASS" | "WARN" | "FAIL";
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export function pass(name: string, message: string): Check {
  return { name, status: "PASS", message };
}

export function warn(name: string, message: string, remedy?: string): Check {
  return { name, status: "WARN", message, ...(remedy === undefined ? {} : { remedy }) };
}

export function fail(name: string, message: string, remedy?: string): Check {
  return { name, status: "FAIL", message, ...(remedy === undefined ? {} : { remedy }) };
}

/** Runs a look; what it throws is a finding, too. */
export async function attempt(name: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    return [fail(name, error instanceof Error ? error.message : String(error))];
  }
}

/** `1536` is `1.5 KiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`;
}
