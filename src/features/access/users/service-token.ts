import * as v from "valibot";
import { listing } from "../../../http/api/listing.ts";
import { column, json, orNull, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    service_tokens: RowOf<typeof ServiceToken>;
  }
}

/** Acts for its user, with no more than its scopes. */
export const ServiceToken = resource("ServiceToken", "A service token, without its secret", "service_tokens", () => ({
  id: stored(v.string()),
  name: stored(v.string()),
  prefix: stored(v.string()),
  scopes: stored(v.array(v.string()), json<string[]>()),
  expiresAt: stored(v.nullable(v.string()), orNull(time)),
  lastUsedAt: stored(v.nullable(v.string()), orNull(time)).or(null),
  createdAt: stored(v.string(), time),
  userId: column(v.string()),
  hash: column(v.string()),
  revokedAt: column(v.nullable(v.number())).or(null),
}));

export const tokenList = listing(ServiceToken, () => ({}));
