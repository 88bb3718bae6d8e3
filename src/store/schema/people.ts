/** Users and their rights: accounts, roles, tokens, sessions, projects and their keys, on-call schedules. */
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
  /** The chosen zone, otherwise that of the last browser. */
  timezone: Generated<string>;
  locale: Generated<string>;
  prefs: Generated<string>;
  passwordChangedAt: number | null;
  lastLoginAt: number | null;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
  /** Whether the address is known to be the user's (docs/security.md). */
  isEmailVerified: Generated<Flag>;
  hasChosenTimezone: Generated<Flag>;
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
  repeatedAt: number | null;
}

export interface RefreshTokensTable {
  hash: string;
  sessionId: string;
  issuedAt: number;
  expiresAt: number;
  usedAt: number | null;
  replacedBy: string | null;
  usedBy: string | null;
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

/** What a member lost when only the role of a member counted in a project. */
export interface LostRightsTable {
  projectId: string;
  userId: string;
  rights: string;
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
  /** Its limit of stored bytes, which the operator sets; null: that of the settings. */
  storageBytes: number | null;
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

export interface ProjectStorageTable {
  projectId: string;
  bytes: number;
}

/** Bytes of alerts, timelines and logged requests of receivers; triggers keep them. */
export interface ProjectTextsTable {
  projectId: string;
  bytes: number;
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

export interface OnCallSchedulesTable {
  id: string;
  projectId: string;
  name: string;
  description: Generated<string>;
  /** Of new shifts, and of the texts about this schedule. */
  timezone: string;
  /** How long before a shift its users are notified; null: they are not. */
  handoverLeadMs: number | null;
  /** Whether users are notified when their shift ends. */
  notifiesOff: Generated<Flag>;
  reportsGaps: Generated<Flag>;
  tokenHash: string | null;
  /** JSON: the users last reported as on call. */
  onCall: Generated<string>;
  /** Up to here hand-overs are reported. */
  checkedAt: number | null;
  /** When gaps are searched next. */
  gapsAt: number | null;
  dueAt: number | null;
  version: Generated<number>;
  createdBy: string | null;
  createdAt: number;
  updatedAt: number;
  /** Who made the link of `tokenHash`; null: an earlier version. */
  tokenBy: string | null;
}

export interface OnCallShiftsTable {
  id: string;
  scheduleId: string;
  kind: "rotation" | "single" | "override" | "swap";
  /** The name of a shift, the reason of an override or swap. */
  name: Generated<string>;
  level: number;
  /** Such as `2026-11-23T09:00:00`, by the clocks of `timezone`. */
  startLocal: string;
  durationMs: number;
  timezone: string;
  recurrence: string | null;
  /** JSON: user ids of each turn. */
  turns: string;
  startTurn: Generated<number>;
  /** The user who is replaced. */
  swapFor: string | null;
  /** A changed shift is in effect from its change on; null: always. */
  validFrom: number | null;
  validUntil: number | null;
  /** An earlier form of this shift. */
  currentId: string | null;
  version: Generated<number>;
  createdBy: string | null;
  createdAt: number;
  updatedAt: number;
}

/** Calendars that schedules import. */
export interface OnCallCalendarsTable {
  scheduleId: string;
  /** Null: no longer imported; its stored past shifts are kept. */
  url: string | null;
  etag: string | null;
  /** JSON: the spans of its events. */
  content: string | null;
  /** Of the last text. */
  hash: string | null;
  checkedAt: number | null;
  changedAt: number | null;
  error: string | null;
  dueAt: number | null;
}

/** Shifts whose user has been notified. */
export interface OnCallNoticesTable {
  scheduleId: string;
  userId: string;
  startsAt: number;
  sentAt: number;
}

export interface OnCallGapsTable {
  scheduleId: string;
  startsAt: number;
  endsAt: number;
  reportedAt: number;
}

export interface OnCallUsersTable {
  userId: string;
  /** Null: that of the schedule. */
  handoverLeadMs: number | null;
  tokenHash: string | null;
}

/** Whole days of the user's time zone. */
export interface OnCallDaysOffTable {
  id: string;
  userId: string;
  /** Such as `2026-11-24`. */
  firstDay: string;
  lastDay: string;
  note: Generated<string>;
  version: Generated<number>;
  createdBy: string | null;
  createdAt: number;
  updatedAt: number;
}

/** Times on call on days off that have been reported. */
export interface OnCallConflictsTable {
  scheduleId: string;
  userId: string;
  startsAt: number;
  endsAt: number;
  /** The notification that names it. */
  noticeId: string;
}
