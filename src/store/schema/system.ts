/** What Prism keeps of itself: settings, audit trail, idempotency, modules, migrations. */
import type { Generated } from "kysely";
import type { Flag } from "./flag.ts";

export interface SettingsTable {
  key: string;
  value: string | number | Uint8Array | null;
  updatedBy: string | null;
  updatedAt: number;
}

export interface ModulesTable {
  name: string;
  version: string;
  path: string;
  state: "loading" | "active" | "failed" | "disabled";
  error: string | null;
  enabled: Generated<Flag>;
  /** Where its routes were when it was last active: they answer 503 while it is not. */
  routes: Generated<string>;
  updatedAt: number;
}

export interface ModuleKvTable {
  module: string;
  key: string;
  value: string;
  updatedAt: number;
}

export interface IdempotencyKeysTable {
  scope: string;
  key: string;
  fingerprint: string;
  status: number | null;
  response: string | null;
  createdAt: number;
  expiresAt: number;
}

export interface AuditLogTable {
  seq: Generated<number>;
  id: string;
  action: string;
  userId: string | null;
  actor: string;
  resourceType: string | null;
  resourceId: string | null;
  metadata: string;
  ip: string | null;
  requestId: string | null;
  timestamp: number;
  prevHash: string;
  hash: string;
}

export interface MigrationsTable {
  name: string;
  checksum: string;
  appliedAt: number;
}
