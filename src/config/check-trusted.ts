import type { ConfigValues } from "./options.ts";

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** What settings of another token issuer say only together. @returns the problems */
export function checkTrusted({ auth }: Pick<ConfigValues, "auth">): string[] {
  const { issuer, audience, jwksUrl, secret, provision } = auth.trusted;
  const problems: string[] = [];
  if (jwksUrl === undefined && secret === undefined) {
    const isMeant = issuer !== undefined || audience !== undefined || provision;
    return isMeant ? ["auth.trusted needs auth.trusted.jwksUrl or auth.trusted.secret"] : [];
  }
  if (jwksUrl !== undefined && secret !== undefined)
    problems.push("auth.trusted.jwksUrl and auth.trusted.secret exclude each other; set one of them");
  if (jwksUrl !== undefined) {
    const { protocol, hostname, username, password } = new URL(jwksUrl);
    if (protocol !== "https:" && !LOOPBACK_HOST.test(hostname))
      problems.push("auth.trusted.jwksUrl must be an https URL, unless it is on this machine");
    if (username !== "" || password !== "") problems.push("auth.trusted.jwksUrl must not hold a password");
    if (issuer === undefined || audience === undefined)
      problems.push("auth.trusted.issuer and auth.trusted.audience must be set with auth.trusted.jwksUrl");
  }
  const own = [auth.jwtSecret, auth.accessSecret, auth.refreshSecret, ...auth.previousAccessSecrets];
  if (secret !== undefined && own.includes(secret))
    problems.push("auth.trusted.secret is one of Prism's own secrets; give Prism another JWT_SECRET");
  return problems;
}
