import type { Config } from "../../../config/load.ts";
import { type Finding, fail, pass } from "../../../core/finding.ts";
import { systemClock } from "../../../core/time/clock.ts";
import type { StoredFindings } from "../../../module/findings.ts";

/** Whether people can sign in at the providers of `auth.oidc`; nothing without one. */
export async function checkProviders(config: Config): Promise<Finding[]> {
  if (config.auth.oidc.length === 0) return [];
  const { OidcProvider } = await import("./provider.ts");
  const parts = {
    ...{ clock: systemClock, log: { warn: () => undefined }, settings: { current: config } },
    publicUrl: () => config.publicUrl ?? "http://localhost",
  };
  const look = async (settings: Config["auth"]["oidc"][number]): Promise<Finding> => {
    const { name, issuer, clientSecret } = settings;
    const provider = new OidcProvider(settings, parts);
    try {
      await provider.begin();
      const client = clientSecret === undefined ? "; it signs in as a public client, without clientSecret" : "";
      return pass("oidc", `${name}: ${issuer} is reached; its redirect URI is ${provider.redirectUri}${client}`);
    } catch {
      const [problem] = provider.problems;
      return fail("oidc", `${name}: ${issuer}: ${problem?.text}`, `check issuer of ${name} in auth.oidc`);
    }
  };
  return Promise.all(config.auth.oidc.map(look));
}

export const STORED: StoredFindings = {
  services: { oidc: ({ config }) => checkProviders(config) },
};
