import type { Config } from "../../../config/load.ts";
import { fetchKeySet, usableKeys } from "../../../features/access/issuer-keys.ts";
import { reasonOf } from "../../server-client.ts";
import { type Check, fail, pass } from "./check.ts";

/** Whether the keys of another token issuer can be fetched. Nothing where none is configured. */
export async function checkIssuer({ auth: { trusted } }: Config): Promise<Check[]> {
  const { jwksUrl, algorithms } = trusted;
  if (jwksUrl === undefined) return [];
  try {
    const keys = usableKeys(await fetchKeySet(jwksUrl));
    const kinds = [...new Set(keys.map(({ kind }) => kind))].join(", ");
    if (keys.length > 0) return [pass("issuer", `${jwksUrl} publishes ${keys.length} keys: ${kinds}`)];
    return [
      fail("issuer", `${jwksUrl} publishes no key that signatures can be checked with`, HINT + algorithms.join(", ")),
    ];
  } catch (error) {
    return [
      fail("issuer", `the keys at ${jwksUrl} cannot be fetched: ${reasonOf(error)}`, "look at auth.trusted.jwksUrl"),
    ];
  }
}

const HINT = "its keys must be for one of auth.trusted.algorithms: ";
