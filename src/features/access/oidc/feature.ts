import { sql } from "kysely";
import { feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { oidcFindings } from "./findings.ts";
import type { SignInFlow } from "./flow.ts";
import { tokensSealContext } from "./identities.ts";
import type { OidcContext, OidcProviders } from "./providers.ts";
import { flowRoutes, identityRoutes } from "./routes.ts";

interface Loaded {
  readonly providers: OidcProviders;
  readonly flow: SignInFlow;
}

/** Sign-in at OpenID providers, loaded at its first use. */
export class Oidc {
  readonly #context: OidcContext;
  #loading: Promise<Loaded> | null = null;
  #providers: OidcProviders | null = null;

  constructor(context: OidcContext) {
    this.#context = context;
  }

  parts(): Promise<Loaded> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<Loaded> {
    const [{ OidcProviders }, { SignInFlow }] = await Promise.all([import("./providers.ts"), import("./flow.ts")]);
    this.#providers = new OidcProviders(this.#context);
    return { providers: this.#providers, flow: new SignInFlow(this.#context, this.#providers) };
  }

  /** Before a session is refreshed; see {@link OidcProviders.beforeRefresh}. */
  async beforeRefresh(refreshToken: string): Promise<void> {
    const { oidc } = this.#context.settings.current.auth;
    if (oidc.some(({ groupsEvery }) => groupsEvery !== null))
      await (await this.parts()).providers.beforeRefresh(refreshToken);
  }

  /** Providers that were used and give no answer that can be used. */
  get used(): OidcProviders["used"] {
    return this.#providers?.used ?? [];
  }
}

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly oidc: Oidc;
  }
}

/** Sign-in with accounts of OpenID providers, and the accounts of providers that users are linked with. */
export const oidcFeature = feature("oidc", {
  needs: ["accounts", "deletions"],
  open: (context) => ({ oidc: new Oidc(context) }),
  sealedColumns: [sealedColumn("identities", "tokens", tokensSealContext, { where: sql`tokens is not null` })],
  findings: oidcFindings,
  register(server, context) {
    for (const each of [...flowRoutes(context), ...identityRoutes(context)]) server.route(each);
  },
});
