import { SealedBox } from "../core/sealed-box.ts";
import type { Config } from "./load.ts";

/** Seals with the configured key and opens what earlier ones sealed. @throws ConfigRefused where no key is configured */
export function sealedBoxOf({ secrets, previousEncryptionKeys }: Config): SealedBox {
  return new SealedBox([secrets.encryptionKey, ...previousEncryptionKeys]);
}
