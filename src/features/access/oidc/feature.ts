import { sql } from "kysely";
import { feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";

/** Seal context of a provider's refresh token. */
export function tokensSealContext(identityId: string): string {
  return `identities.tokens.${identityId}`;
}

/** Sign-in with the accounts of OpenID providers. */
export const oidcFeature = feature("oidc", {
  needs: ["accounts"],
  sealedColumns: [sealedColumn("identities", "tokens", tokensSealContext, { where: sql`tokens is not null` })],
});
