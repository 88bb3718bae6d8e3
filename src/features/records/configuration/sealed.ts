import { createHmac } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { currentCaller } from "../../../core/caller.ts";
import { SealKeys } from "../../../core/crypto/public-seal.ts";
import { type SealedBox, UnsealError } from "../../../core/crypto/sealed-box.ts";
import type { ErrorDetail } from "../../../core/errors.ts";
import type { Reference } from "./secrets.ts";

/** Sealed secrets of one apply. */
const MAX_SEALED = 2000;
/** Opening one takes about as long as so many steps of a condition. */
const STEPS_PER_SEALED = 13_000;
/** Opened in one turn of the loop: other requests wait no longer. */
const IN_A_TURN = 25;

const known = new WeakMap<SealedBox, SealKeys>();

/** The keys of `prism seal`. */
export function sealKeysOf(box: SealedBox): SealKeys {
  const keys = known.get(box) ?? new SealKeys(box);
  known.set(box, keys);
  return keys;
}

/** Hash in hex that only this server can compute: nobody finds out what has it by guessing. */
export function keyedHash(box: SealedBox, text: string): string {
  const [key = ""] = box.derived("hashes of configuration");
  return createHmac("sha256", key).update(text).digest("hex");
}

interface SealedObject {
  readonly project: string;
  readonly kind: string;
  /** Its name, and an earlier one that no other object has. */
  readonly names: readonly string[];
  readonly references: ReadonlyMap<string, Reference>;
  /** Where it has secrets; undefined: at each reference. Elsewhere readers would see what is opened. */
  readonly secretPaths: readonly string[] | undefined;
}

/** Opens the sealed secrets of the objects of one request. */
export class SealedSecrets {
  readonly #box: SealedBox;
  #count = 0;

  constructor(box: SealedBox) {
    this.#box = box;
  }

  /** @returns values by path. @param problems receives what no key opens at this place */
  async opened(
    { references, secretPaths, ...object }: SealedObject,
    problems: ErrorDetail[],
  ): Promise<Map<string, string>> {
    const values = new Map<string, string>();
    for (const [path, { sealed }] of references) {
      if (sealed === undefined) continue;
      if (++this.#count > MAX_SEALED) {
        problems.push({ path, code: "LIMIT_REACHED", message: `one apply has at most ${MAX_SEALED} sealed secrets` });
        return values;
      }
      currentCaller().pay?.({ steps: STEPS_PER_SEALED });
      if (this.#count % IN_A_TURN === 0) await nextTurn();
      const isSecret = secretPaths?.includes(path) ?? true;
      const value = isSecret ? this.#open(sealed, object, path) : undefined;
      if (value === undefined) problems.push({ path, code: "SEALED_ELSEWHERE", message: REFUSED });
      else values.set(path, value);
    }
    return values;
  }

  #open(sealed: string, { project, kind, names }: Omit<SealedObject, "references" | "secretPaths">, field: string) {
    for (const name of names)
      try {
        return sealKeysOf(this.#box).open({ project, kind, name, field }, sealed);
      } catch (error) {
        if (!(error instanceof UnsealError)) throw error;
      }
    return undefined;
  }
}

const REFUSED =
  "no key of this server opens it here: seal it again with prism seal, for this project, kind, name and field";
