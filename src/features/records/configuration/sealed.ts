import { setImmediate as nextTurn } from "node:timers/promises";
import {
  addressesOf,
  type BoundMembers,
  boundMembers,
  type ServiceAddresses,
} from "../../../config/files/sealed-members.ts";
import { currentCaller } from "../../../core/caller.ts";
import { hmac } from "../../../core/crypto/hmac.ts";
import { SealKeys, type SealPlace } from "../../../core/crypto/public-seal.ts";
import { type SealedBox, UnsealError } from "../../../core/crypto/sealed-box.ts";
import type { ErrorDetail } from "../../../core/errors.ts";
import type { ConfigKind, Spec } from "../../../module/config-kind.ts";
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
  const [key = Buffer.alloc(0)] = box.derived("hashes of configuration");
  return hmac("sha256", key).update(text).digest("hex");
}

interface SealedObject {
  readonly project: string;
  readonly kind: ConfigKind;
  /** As its file has it. */
  readonly spec: Spec;
  /** Its name, and an earlier one that no other object has. */
  readonly names: readonly string[];
  readonly references: ReadonlyMap<string, Reference>;
  /** Where it has secrets; undefined: at each reference. Elsewhere readers would see what is opened. */
  readonly secretPaths: readonly string[] | undefined;
}

type Place = Omit<SealedObject, "references" | "secretPaths"> & Pick<SealPlace, "field" | "bound">;

/** Opens the sealed secrets of the objects of one request. */
export class SealedSecrets {
  readonly #box: SealedBox;
  readonly #addresses = new Map<ConfigKind, ServiceAddresses | undefined>();
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
    const { kind, spec } = object;
    for (const [path, { sealed }] of references) {
      if (sealed === undefined) continue;
      if (++this.#count > MAX_SEALED) {
        problems.push({ path, code: "LIMIT_REACHED", message: `one apply has at most ${MAX_SEALED} sealed secrets` });
        return values;
      }
      currentCaller().pay?.({ steps: STEPS_PER_SEALED });
      if (this.#count % IN_A_TURN === 0) await nextTurn();
      if (!this.#addresses.has(kind)) this.#addresses.set(kind, await kind.addresses?.());
      const addresses = addressesOf(kind.kind, spec, this.#addresses.get(kind));
      const { bound, unsealed } = boundMembers({ kind: kind.kind, spec, field: path, addresses });
      const isSecret = secretPaths?.includes(path) ?? true;
      const value =
        isSecret && unsealed === undefined ? this.#open(sealed, { ...object, field: path, bound }) : undefined;
      if (value === undefined) problems.push(refusal(path, object, { bound, unsealed }));
      else values.set(path, value);
    }
    return values;
  }

  #open(sealed: string, { project, kind: { kind }, names, field, bound }: Place): string | undefined {
    for (const name of names)
      try {
        return sealKeysOf(this.#box).open({ project, kind, name, field, bound }, sealed);
      } catch (error) {
        if (!(error instanceof UnsealError)) throw error;
      }
    return undefined;
  }
}

/** Says what the secret belongs to, and the command that seals it again. */
function refusal(
  path: string,
  { project, kind: { kind }, names: [name = ""] }: Omit<SealedObject, "references" | "secretPaths">,
  { bound, unsealed }: BoundMembers,
): ErrorDetail {
  const words = ["--project", project, "--kind", kind, "--name", JSON.stringify(name), "--field", path];
  const again = `prism seal -f FILE ${words.join(" ")}`;
  const members = Object.keys(bound).map((member) => `, ${member}`);
  const message =
    unsealed === undefined
      ? `no key of this server opens it here: it was sealed for another project, kind, name, field${members.join("")} or server`
      : `a sealed secret is sent to an address that is in the file: ${unsealed} is given by env or file, or missing`;
  const fix = unsealed === undefined ? `seal it again: ${again}` : `seal ${unsealed}, then this one: ${again}`;
  return { path, code: "SEALED_ELSEWHERE", message, fix };
}
