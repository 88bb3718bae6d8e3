/** Why a module is not active. The message is for operators: it names what is wrong and, where there is one, the next step. */
export class ModuleFailure extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ModuleFailure";
  }
}

const MAX_LENGTH = 2000;

/** What a module's own error says, in a length that fits a table. */
export function failureText(error: unknown): string {
  const text = error instanceof Error ? (error.message === "" ? error.name : error.message) : String(error);
  return text.slice(0, MAX_LENGTH);
}

/** Resolves as `work` does. @throws ModuleFailure when that takes longer. */
export async function withinLimit<T>(work: Promise<T> | T, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ModuleFailure(`${what} has not ended within ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
