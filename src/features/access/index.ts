/** The part of `access` that other features may use. */
import type { Principals } from "./authenticate/principals.ts";
import type { Projects } from "./authorize.ts";

export { AccessTokens } from "./authenticate/access-tokens.ts";
export { Principals, UsageMarks } from "./authenticate/principals.ts";
export { openTrustedIssuer, type TrustedIssuer } from "./authenticate/trusted-issuer.ts";
export { type ProjectRight, Projects, reauthorize } from "./authorize.ts";
export { type AccountContext, type AccountOptions, openAccounts } from "./context.ts";
export { awaitFirstAdmin, bootstrap, type FirstAdmin, makeConfiguredAdmin } from "./first-start.ts";
export { owned } from "./owned.ts";
export { KnownPasswords } from "./passwords/known-passwords.ts";
export { administrators, findProject, ownersOf, projectPeople } from "./projects/queries.ts";
export { creatorOf, type Maker, Quotas } from "./projects/quotas.ts";
export { noteRemoved, ProjectStorage, type StorageSender } from "./projects/storage.ts";
export { type KeptAnswer, keptAnswer, ReadCaches } from "./read-caches.ts";
export { ACCOUNT_SWEEPS } from "./retention.ts";
export { linksIdle } from "./sessions/account-links.ts";
export { DevGate } from "./sessions/dev-token.ts";
export { type PasswordOwner, passwordOwner } from "./sessions/login.ts";
export { createSignInLink, type SignInLink } from "./sessions/sign-in.ts";
export { type UserName, userNames } from "./users/queries.ts";
export { UserDirectory } from "./users/user-directory.ts";

declare module "../../module/feature.ts" {
  interface Offers {
    principals: Principals;
    projects: Projects;
  }
}
