/** What other features may use of `access`. */
export { AccessTokens } from "./access-tokens.ts";
export { ACCOUNT_PAGE_NAMES } from "./accounts/account-mail.ts";
export { ACCOUNT_SWEEPS } from "./accounts/account-retention.ts";
export { awaitFirstAdmin, type FirstAdmin, makeConfiguredAdmin } from "./accounts/first-admin.ts";
export { type AccountServices, type AccountsOptions, openAccounts } from "./accounts/open-accounts.ts";
export { UnlockWatch } from "./accounts/unlock.ts";
export { bootstrap } from "./bootstrap.ts";
export { callerOf, userOf } from "./caller-of.ts";
export { DevGate } from "./dev-gate.ts";
export { Principals } from "./principals.ts";
export { projectPeople } from "./project-people.ts";
export { Projects } from "./projects.ts";
export { type KeptAnswer, keptAnswer, ReadCaches } from "./read-caches.ts";
export { openTrustedIssuer, type TrustedIssuer } from "./trusted-issuer.ts";
export { UsageMarks } from "./usage-marks.ts";
export { UserDirectory } from "./user-directory.ts";
