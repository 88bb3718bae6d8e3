import { environmentName, flattenOptions } from "./option.ts";
import { type ConfigValues, OPTIONS } from "./options.ts";

const MIN_SECRET_BYTES = 32;
const MIN_BCRYPT_COST = 12;
/** Fewer different bytes than this are a pattern, not a secret. */
const MIN_DIFFERENT = 8;
/** What example files and tutorials put where a secret belongs, and a random generator hardly ever writes. */
const PLACEHOLDER =
  /secret|password|placeholder|example|change[-_ ]?(me|this|it\b|in\b)|^(your|dev|test|default|dummy)[-_ ]|^replace|^<.*>$|x{6}/i;

/**
 * What production does not accept (contract section 11): a JWT secret or encryption key that is missing, short, or a placeholder of
 * some example file.
 * @param missing keys of the secrets that were not configured.
 */
export function checkProduction(config: ConfigValues, missing: readonly string[]): string[] {
  if (config.env !== "production") return [];
  const problems = missing.map((key) => `${variableOf(key)} (${key}) is required in production; ${HOW_TO_MAKE[key]}`);
  for (const [key, secret] of [
    ["auth.jwtSecret", config.auth.jwtSecret],
    ["auth.accessSecret", config.auth.accessSecret],
    ["auth.refreshSecret", config.auth.refreshSecret],
    ["auth.trusted.secret", config.auth.trusted.secret],
  ] as const) {
    const problem = secret === undefined ? undefined : weakness(secret);
    if (problem) problems.push(`${variableOf(key)} (${key}) ${problem}; ${HOW_TO_MAKE["auth.jwtSecret"]}`);
  }
  if (config.encryptionKey && new Set(config.encryptionKey).size < MIN_DIFFERENT)
    problems.push(
      `${variableOf("encryptionKey")} (encryptionKey) repeats too few bytes; ${HOW_TO_MAKE["encryptionKey"]}`,
    );
  if (config.auth.bcryptCost < MIN_BCRYPT_COST)
    problems.push(`auth.bcryptCost is ${config.auth.bcryptCost}; production needs ${MIN_BCRYPT_COST} or more`);
  for (const [key, endpoint] of [
    ["fcm.endpoint", config.fcm.endpoint],
    ["fcm.tokenEndpoint", config.fcm.tokenEndpoint],
    ["apns.endpoint", config.apns.endpoint],
  ] as const)
    if (endpoint !== undefined) problems.push(`${key} is for tests; production sends to the provider itself`);
  return problems;
}

function weakness(secret: string): string | undefined {
  if (PLACEHOLDER.test(secret)) return "is a placeholder";
  const bytes = Buffer.byteLength(secret);
  if (bytes < MIN_SECRET_BYTES) return `is ${bytes} bytes long, of ${MIN_SECRET_BYTES} or more`;
  return new Set(secret).size < MIN_DIFFERENT ? "repeats too few characters" : undefined;
}

/** The name that operators know: the seeds' where there is one. */
function variableOf(key: string): string {
  const option = flattenOptions(OPTIONS).find(([each]) => each === key)?.[1];
  return option?.seed[0] ?? environmentName(key);
}

const HOW_TO_MAKE: Readonly<Record<string, string>> = {
  "auth.jwtSecret": "set it, in the environment or in .env, to the output of: openssl rand -base64 48",
  encryptionKey: "set it, in the environment or in .env, to the output of: openssl rand -base64 32",
};
