/** Topics and messages of ntfy (docs/ntfy.md); applications, clients and messages of Gotify (docs/gotify.md). */
import type { Generated } from "kysely";
import type { Flag } from "./system.ts";

export type NtfyTopicKind = "messages" | "events" | "inbox";

export interface NtfyTopicsTable {
  name: string;
  kind: NtfyTopicKind;
  /** Null for the inbox of a user. */
  projectId: string | null;
  /** The owner of an inbox. */
  userId: string | null;
  /** JSON: types of events that the topic shows. */
  patterns: Generated<string>;
  createdBy: string | null;
  createdAt: number;
  /** When it last had a message or a subscriber, to the day. */
  lastUsedAt: number | null;
  /** 0: a publish made it, and it expires. */
  isKept: Generated<Flag>;
}

export type NtfyPermission = "none" | "read" | "write" | "read-write";

export interface NtfyAccessTable {
  projectId: string;
  /** `*`: everyone. */
  userId: string;
  /** Pattern of names of topics; `*` stands for any text. */
  pattern: string;
  permission: NtfyPermission;
  createdBy: string | null;
  createdAt: number;
}

export interface NtfyAttachmentsTable {
  /** Id of the message. */
  id: string;
  owner: string;
  name: string;
  type: string;
  sizeBytes: number;
  createdAt: number;
  expiresAt: number;
}

export interface GotifyApplicationsTable {
  id: Generated<number>;
  userId: string;
  tokenHash: string;
  /** The owner's clients show it, to share a text with an application. */
  sealedToken: Uint8Array;
  name: string;
  description: Generated<string>;
  defaultPriority: Generated<number>;
  /** Name of its row in `gotify_images`; null: the default one. */
  image: string | null;
  createdAt: number;
  lastUsedAt: number | null;
  /** A fractional index: the applications are listed by it. */
  sortKey: Generated<string>;
}

export interface GotifyClientsTable {
  id: Generated<number>;
  userId: string;
  tokenHash: string;
  name: string;
  createdAt: number;
  lastUsedAt: number | null;
  /** Seconds without use after which it ends; 0: it does not. */
  expiresAfterS: Generated<number>;
}

export interface CompatTables {
  ntfy_topics: NtfyTopicsTable;
  ntfy_access: NtfyAccessTable;
  ntfy_messages: {
    id: string;
    topic: string;
    /** That of the message itself unless it was published into a sequence. */
    sequenceId: string;
    /** Offset in `stream_log`; null until it is sent. */
    seq: number | null;
    at: number;
    /** When a scheduled message is sent. */
    dueAt: number | null;
    expiresAt: number;
    /** The text of a scheduled message, as JSON. */
    body: string | null;
    /** Key of the principal who published it; null: anonymous. */
    sender: string | null;
  };
  ntfy_tokens: {
    hash: string;
    userId: string;
    last4: string;
    label: string | null;
    createdAt: number;
    expiresAt: number | null;
    lastUsedAt: number | null;
    lastOrigin: string | null;
  };
  ntfy_attachments: NtfyAttachmentsTable;
  gotify_applications: GotifyApplicationsTable;
  gotify_clients: GotifyClientsTable;
  gotify_messages: {
    /** Offset of the recipient's row. */
    id: Generated<number>;
    applicationId: number;
    userId: string;
    /** As sent; null: that of the notification. */
    title: string | null;
    message: string | null;
    priority: number;
    extras: string | null;
  };
  gotify_images: {
    name: string;
    applicationId: number;
    type: string;
    bytes: Uint8Array;
  };
}
