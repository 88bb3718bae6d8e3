import { sql } from "kysely";
import { feature, type Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import type { SignInFlow } from "./flow.ts";
import { tokensSealContext } from "./identities.ts";
import type { OidcContext, Providers } from "./providers.ts";
import { flowRoutes, identityRoutes } from "./routes.ts";

interface Loaded {
  readonly providers: Providers;
  readonly flow: SignInFlow;
}

/** Sign-in at OpenID providers, loaded at its first use. */
export class Oidc {
  readonly #context: OidcContext;
  #loading: Promise<Loaded> | null = null;
  #providers: Providers | null = null;

  constructor(context: OidcContext) {
    this.#context = context;
  }

  parts(): Promise<Loaded> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<Loaded> {
    const [{ Providers }, { SignInFlow }] = await Promise.all([import("./providers.ts"), import("./flow.ts")]);
    this.#providers = new Providers(this.#context);
    return { providers: this.#providers, flow: new SignInFlow(this.#context, this.#providers) };
  }

  /** Before a session is refreshed; see {@link Providers.beforeRefresh}. */
  async beforeRefresh(refreshToken: string): Promise<void> {
    const { oidc } = this.#context.settings.current.auth;
    if (oidc.some(({ groupsEvery }) => groupsEvery !== null))
      await (await this.parts()).providers.beforeRefresh(refreshToken);
  }

  /** Providers that were used and give no answer that can be used. */
  get used(): Providers["used"] {
    return this.#providers?.used ?? [];
  }
}

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly oidc: Oidc;
  }
}

const oidcFindings: FeatureFindings<Uses<"oidc">> = {
  stored: () => import("./doctor.ts"),
  known: ({ oidc }) =>
    oidc.used.flatMap(({ label, settings: { name }, problems }) =>
      problems.map(({ since, text }) => ({
        ...{ code: "oidc", severity: "warning", subject: name, since },
        text: `Sign-in with ${label}: ${text}`,
        fix: "look at auth.oidc and at the provider; sessions go on, and prism user sign-in-link signs in without it",
        shown: {
          ...{ kind: "config", key: `oidc:${name}`, link: "/people" },
          detail: "people who are signed in are not affected",
        },
      })),
    ),
};

/** Sign-in with accounts of OpenID providers, and the accounts of providers that users are linked with. */
export const oidcFeature = feature("oidc", {
  needs: ["accounts"],
  open: (context) => ({ oidc: new Oidc(context) }),
  sealedColumns: [sealedColumn("identities", "tokens", tokensSealContext, { where: sql`tokens is not null` })],
  findings: oidcFindings,
  register(server, context) {
    for (const each of [...flowRoutes(context), ...identityRoutes(context)]) server.route(each);
  },
});
