import { useState } from "preact/hooks";
import { PrismError } from "./api.ts";

interface FieldErrors {
  /** The error of a field, for the prop `error` of Field. */
  of(name: string): string | undefined;
  clear(): void;
  /** @returns undefined when the server refused fields, which now have their errors */
  attempt<T>(work: () => Promise<T>): Promise<T | undefined>;
}

interface Options {
  /** In front of the names in the paths of the server's errors, such as `values.`. */
  readonly prefix?: string;
  /** Replaces words of the server, such as keys by labels. @param path such as `users.0` */
  readonly textOf?: (message: string, path: string) => string;
}

/** Shows what the server refuses at its field. An error about anything other is thrown. */
export function useFieldErrors(names: readonly string[], { prefix = "", textOf }: Options = {}): FieldErrors {
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map());
  const clear = () => setErrors(new Map());
  return {
    of: (name) => errors.get(name),
    clear,
    async attempt(work) {
      clear();
      try {
        return await work();
      } catch (error) {
        const details = error instanceof PrismError ? error.details : [];
        const found = details.map(({ path = "", message = "is not valid" }): [string, string] => {
          const text = textOf?.(message, path) ?? message;
          const own = path.startsWith(prefix) ? path.slice(prefix.length) : path;
          const name = names.find((each) => own === each || own.startsWith(`${each}.`)) ?? own;
          return [name, text.charAt(0).toUpperCase() + text.slice(1)];
        });
        if (found.length === 0 || !found.every(([name]) => names.includes(name))) throw error;
        setErrors(new Map(found));
        return undefined;
      }
    },
  };
}
