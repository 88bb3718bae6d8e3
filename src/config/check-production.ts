import type { ConfigValues } from "./options.ts";

const MIN_SECRET_BYTES = 32;
const PLACEHOLDER = /^(change[-_ ]?me|dev[-_ ]?secret|secret|password|your[-_ ]|<.*>$|test|example|xxx)/i;

/**
 * What production does not accept (contract section 11): a JWT secret or encryption key that is missing, short, or a placeholder of
 * some example file.
 * @param missing keys of the secrets that were not configured.
 */
export function checkProduction(config: ConfigValues, missing: readonly string[]): string[] {
  if (config.env !== "production") return [];
  const problems = missing.map((key) => `${key} is required in production; ${HOW_TO_MAKE[key] ?? "set it"}`);
  const secrets = { "auth.jwtSecret": config.auth.jwtSecret, "auth.accessSecret": config.auth.accessSecret };
  for (const [key, secret] of Object.entries(secrets)) {
    if (secret === undefined) continue;
    if (PLACEHOLDER.test(secret)) problems.push(`${key} is a placeholder; ${HOW_TO_MAKE["auth.jwtSecret"]}`);
    else if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
      problems.push(`${key} is ${Buffer.byteLength(secret)} bytes long; use ${MIN_SECRET_BYTES} or more`);
    } else if (new Set(secret).size < 8)
      problems.push(`${key} repeats too few characters; ${HOW_TO_MAKE["auth.jwtSecret"]}`);
  }
  return problems;
}

const HOW_TO_MAKE: Readonly<Record<string, string>> = {
  "auth.jwtSecret": "set JWT_SECRET, for instance to the output of: openssl rand -base64 48",
  encryptionKey: "set PRISM_ENCRYPTION_KEY, for instance to the output of: openssl rand -base64 32",
};
