/** Users and their rights: accounts, roles, tokens, sessions, projects and their keys. */
import type { Generated } from "kysely";
import type { Flag } from "./system.ts";

export type UserStatus = "pending" | "active" | "disabled" | "unverified";

export interface RolesTable {
  id: string;
  name: string;
  permissions: string;
  description: Generated<string>;
  builtin: Generated<Flag>;
  version: Generated<number>;
  createdAt: number;
  updatedAt: number;
}

export interface UsersTable {
  id: string;
  email: string | null;
  username: string | null;
  phone: string | null;
  externalId: string | null;
  name: Generated<string>;
  passwordHash: string | null;
  status: UserStatus;
  timezone: Generated<string>;
  locale: Generated<string>;
  prefs: Generated<string>;
  passwordChangedAt: number | null;
  lastLoginAt: number | null;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
  /** Whether the user entered the address, so that it is not verified. */
  hasChosenEmail: Generated<Flag>;
}

export interface UserRolesTable {
  userId: string;
  roleId: string;
  grantedBy: string | null;
  createdAt: number;
}

export interface ServiceTokensTable {
  id: string;
  userId: string;
  name: string;
  hash: string;
  prefix: string;
  scopes: string;
  expiresAt: number | null;
  lastUsedAt: number | null;
  revokedAt: number | null;
  createdAt: number;
}

export interface SessionsTable {
  id: string;
  userId: string;
  family: string;
  userAgent: string;
  ip: string;
  createdAt: number;
  lastUsedAt: number;
  expiresAt: number;
  revokedAt: number | null;
  revokeReason: string | null;
}

export interface RefreshTokensTable {
  hash: string;
  sessionId: string;
  issuedAt: number;
  expiresAt: number;
  usedAt: number | null;
  replacedBy: string | null;
}

export interface OneTimeTokensTable {
  hash: string;
  userId: string;
  kind: "verify_email" | "reset_password" | "invite" | "sign_in" | "second_factor";
  expiresAt: number;
  usedAt: number | null;
}

export interface SecondFactorsTable {
  userId: string;
  /** Sealed. */
  secret: Uint8Array;
  /** SHA-256 of each unused recovery code, a JSON array. */
  recoveryCodes: Generated<string>;
  /** Number of the last 30-second step a code was accepted for. */
  lastStep: Generated<number>;
  /** Wrong codes since the last right one. */
  failures: Generated<number>;
  /** Null while its first code is pending. */
  enabledAt: number | null;
  createdAt: number;
}

export interface PushDevicesTable {
  id: string;
  userId: string;
  kind: "fcm" | "apns" | "webpush";
  device: string;
  token: Uint8Array;
  tokenHash: string;
  disabledAt: number | null;
  lastUsedAt: number | null;
  createdAt: number;
  updatedAt: number;
  /** The login session that registered it; null for a service token, and for older rows. */
  sessionId: string | null;
}

export type ProjectRole = "owner" | "editor" | "viewer";

export interface ProjectsTable {
  id: string;
  slug: string;
  name: string;
  ownerId: string | null;
  settings: Generated<string>;
  version: Generated<number>;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
}

export interface ProjectMembersTable {
  projectId: string;
  userId: string;
  role: ProjectRole;
  createdAt: number;
}

export interface ApiKeysTable {
  id: string;
  projectId: string;
  name: string;
  prefix: string;
  hash: string;
  scopes: string;
  rateLimit: number | null;
  expiresAt: number | null;
  lastUsedAt: number | null;
  revokedAt: number | null;
  createdBy: string | null;
  createdAt: number;
}

/** An invitation to a project. It is open until `endedAt` is set or `expiresAt` has passed. */
export interface ProjectInvitationsTable {
  id: string;
  projectId: string;
  /** Normalised like login names, in lower case. */
  email: string;
  role: ProjectRole;
  /** SHA-256 of the link's token. */
  hash: string;
  invitedBy: string;
  createdAt: number;
  expiresAt: number;
  endedAt: number | null;
  /** The member who accepted; null while it is open, and when it was revoked or declined. */
  acceptedBy: string | null;
}
