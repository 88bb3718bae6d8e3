import { PrismError } from "../../src/core/errors.ts";
import type { TestPrism } from "./prism.ts";

/**
 * From now on the disk is full for transactions. @param passes so many are stored before, or whether
 * one is. @returns ends it
 */
export function refuseWrites({ parts }: TestPrism, passes: number | (() => boolean) = 0): () => void {
  const { database } = parts.base;
  const { write } = database;
  let left = typeof passes === "number" ? passes : 0;
  const isStored = typeof passes === "number" ? () => left-- > 0 : passes;
  const refusing: typeof write = (fn, options) => {
    if (isStored()) return write.call(database, fn, options) as ReturnType<typeof fn>;
    return Promise.reject(new PrismError("STORAGE_FULL", "The disk is full"));
  };
  Object.defineProperty(database, "write", { configurable: true, value: refusing });
  return () => {
    Object.defineProperty(database, "write", { configurable: true, value: write });
  };
}
