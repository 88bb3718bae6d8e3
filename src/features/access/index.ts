/** The part of `access` that other features may use. */

export type { Principals } from "./authenticate/principals.ts";
export { type ProjectRight, type Projects, reauthorize } from "./authorize.ts";
export { awaitFirstAdmin, type FirstAdmin } from "./first-start.ts";
export { type Access, type ChangesIn, managed, requireFreeName, requireFreeToken, type WithIssued } from "./managed.ts";
export { importedUser, importRows, isStored } from "./operator/import-rows.ts";
export { ofServer, owned } from "./owned.ts";
export { KnownPasswords } from "./passwords/known-passwords.ts";
export { plannedAccess } from "./planned.ts";
export { administrators, findProject, ownersOf, projectPeople } from "./projects/queries.ts";
export { creatorOf, type Maker, type Quotas } from "./projects/quotas.ts";
export { noteRemoved, type ProjectStorage, type StorageSender } from "./projects/storage.ts";
export { type KeptAnswer, keptAnswer } from "./read-caches.ts";
export { DevGate } from "./sessions/dev-token.ts";
export type { PasswordOwner } from "./sessions/login.ts";
export { createSignInLink, type SignInLink } from "./sessions/sign-in-link.ts";
export { TokenIndex } from "./token-index.ts";
export { namesInFiles, type UserName, userNames } from "./users/queries.ts";
export type { UserDirectory } from "./users/user-directory.ts";
