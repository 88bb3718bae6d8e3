export type ProjectRole = "owner" | "editor" | "viewer";

/** A project, as `GET /api/v1/projects` lists it. */
export interface Project {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  /** The role of the signed-in user; null for administrators without one. */
  readonly role: ProjectRole | null;
  readonly settings: ProjectSettings;
  readonly createdAt: string;
}

export interface ProjectSettings {
  readonly alertThreshold?: number | null;
  readonly retentionDays?: number | null;
  readonly emailAlerts?: boolean | null;
}

export interface ProjectDetail extends Project {
  readonly eventCount: number;
  readonly lastEventAt: string | null;
  /** What its requests cost the server, and the part of its budget that is left (0 to 1). */
  readonly work: { readonly usedMs: number; readonly refused: number; readonly left: number };
  /** What it stores, and the most it may; null: no limit. */
  readonly storage: { readonly bytes: number; readonly limit: number | null };
}

export interface Member {
  readonly userId: string;
  readonly username: string | null;
  readonly name: string;
  readonly role: ProjectRole;
  readonly createdAt: string;
}

interface Named {
  readonly id: string;
  readonly name: string;
}

/** What ended with rights in a project, and what the person still knows. */
export interface Leftovers {
  readonly keysRevoked?: readonly Named[];
  readonly keysRestricted?: readonly (Named & { readonly scopes: readonly string[] })[];
  readonly keysHandedOver?: readonly Named[];
  readonly toRotate?: readonly (Named & { readonly kind: string })[];
  /** Number of secrets to rotate, if `toRotate` has not all of them. */
  readonly toRotateCount?: number;
}

export interface Invitation {
  readonly id: string;
  readonly email: string;
  readonly role: ProjectRole;
  readonly expiresAt: string;
  readonly inviteUrl?: string;
}

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly scopes: readonly string[];
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
}

export const ROLE_OPTIONS = [
  { value: "viewer", label: "Viewer", hint: "reads events and streams" },
  { value: "editor", label: "Editor", hint: "also sends events and reads rules and keys" },
  { value: "owner", label: "Owner", hint: "also changes members, keys and settings" },
];
