/* Findings of `prism doctor`. Each feature has the checks of its data; the list is in cli/commands/doctor/. */

export interface Check {
  readonly name: string;
  readonly status: "PASS" | "WARN" | "FAIL";
  readonly message: string;
  /** The next step. */
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

/** Runs a check; an error counts as a failed one. */
export async function attempt(name: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    return [fail(name, error instanceof Error ? error.message : String(error))];
  }
}
