/** Users and their rights: accounts, roles, tokens, sessions, projects and their keys, on-call schedules. */
import type { Generated } from "kysely";
import type { Flag } from "./system.ts";

export type UserStatus = "pending" | "active" | "disabled" | "unverified";

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

export type ProjectRole = "owner" | "editor" | "viewer";

/** Calendars that schedules import. */
export interface OnCallCalendarsTable {
  scheduleId: string;
  /** Null: no longer imported; its stored past shifts are kept. */
  url: string | null;
  etag: string | null;
  /** JSON: the spans of its events. */
  content: string | null;
  /** Hash of the last read text. */
  hash: string | null;
  checkedAt: number | null;
  changedAt: number | null;
  error: string | null;
  dueAt: number | null;
}

export interface PeopleTables {
  users: UsersTable;
  user_roles: {
    userId: string;
    roleId: string;
    grantedBy: string | null;
    createdAt: number;
    /** JSON of who gives it (features/access/group-rights/sources.ts); null: by hand. */
    sources: string | null;
  };
  sessions: {
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
    /** How it was opened: `oidc:<name>` or `proxy:<name>`; null: by a password, a link or a passkey. */
    via: string | null;
    /** The provider's name of the session, `sid`. */
    sid: string | null;
  };
  /** Accounts of providers that sign an account in; unique by issuer and subject. */
  identities: {
    id: string;
    issuer: string;
    subject: string;
    userId: string;
    /** Its name in the configuration. */
    provider: string | null;
    /** What the provider calls the person. */
    name: string | null;
    linkedAt: number;
    lastUsedAt: number | null;
    /** The provider's refresh token, sealed; only with `groupsEvery`. */
    tokens: Uint8Array | null;
    /** When groups were last read. */
    groupsAt: number | null;
  };
  refresh_tokens: {
    hash: string;
    sessionId: string;
    issuedAt: number;
    expiresAt: number;
    usedAt: number | null;
    replacedBy: string | null;
    usedBy: string | null;
  };
  one_time_tokens: {
    hash: string;
    userId: string;
    kind: "verify_email" | "reset_password" | "invite" | "sign_in" | "second_factor";
    expiresAt: number;
    usedAt: number | null;
    /** Of a challenge: how its session is opened, as JSON. */
    opening: string | null;
  };
  second_factors: {
    userId: string;
    /** Sealed; null: the account has passkeys alone. */
    secret: Uint8Array | null;
    /** SHA-256 of each unused recovery code, a JSON array. */
    recoveryCodes: Generated<string>;
    /** Number of the last 30-second step a code was accepted for. */
    lastStep: Generated<number>;
    /** Wrong codes since the last right one. */
    failures: Generated<number>;
    /** Null without an authenticator app, and while its first code is pending. */
    enabledAt: number | null;
    createdAt: number;
  };
  passkeys: {
    id: string;
    userId: string;
    /** Base64url. */
    credentialId: string;
    /** COSE key (RFC 9052). */
    publicKey: Uint8Array;
    /** Of the last use; 0 where the authenticator does not count. */
    counter: number;
    /** A JSON array, such as `["internal"]`. */
    transports: string;
    isBackedUp: Flag;
    /** Whether its authenticator has verified its user beside a password: then it signs in by itself. */
    isUserVerified: Flag;
    name: string;
    /** The host that it belongs to. */
    rpId: string;
    createdAt: number;
    lastUsedAt: number | null;
  };
  /** Challenges of passkeys that were answered. */
  used_challenges: {
    expiresAt: number;
    challenge: string;
  };
  push_devices: {
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
  };
  project_members: {
    projectId: string;
    userId: string;
    role: ProjectRole;
    createdAt: number;
    /** JSON of who gives which role (features/access/group-rights/sources.ts); null: by hand. */
    sources: string | null;
  };
  project_storage: {
    projectId: string;
    bytes: number;
    events: Generated<number>;
  };
  /** Bytes of alerts, timelines and logged requests of receivers; triggers keep them. */
  project_texts: {
    projectId: string;
    bytes: number;
  };
  /** An invitation to a project. It is open until `endedAt` is set or `expiresAt` has passed. */
  project_invitations: {
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
  };
  oncall_calendars: OnCallCalendarsTable;
  /** Shifts whose user has been notified. */
  oncall_notices: {
    scheduleId: string;
    userId: string;
    startsAt: number;
    sentAt: number;
  };
  oncall_gaps: {
    scheduleId: string;
    startsAt: number;
    endsAt: number;
    reportedAt: number;
  };
  oncall_users: {
    userId: string;
    /** Null: that of the schedule. */
    handoverLeadMs: number | null;
    tokenHash: string | null;
  };
  /** Times on call on days off that have been reported. */
  oncall_conflicts: {
    scheduleId: string;
    userId: string;
    startsAt: number;
    endsAt: number;
    /** The notification that names it. */
    noticeId: string;
  };
}
