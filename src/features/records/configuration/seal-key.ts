import type { ServiceAddresses } from "../../../config/files/sealed-members.ts";
import { type ConfigurationContext, storedKinds } from "./reading.ts";
import { sealKeysOf } from "./sealed.ts";

/** What `prism seal` needs of the server. */
export async function sealKey(context: ConfigurationContext) {
  const addresses: Record<string, ServiceAddresses> = {};
  for (const kind of await storedKinds(context)) if (kind.addresses) addresses[kind.kind] = await kind.addresses();
  return { key: sealKeysOf(context.box).publicKey, addresses };
}
