/** Applications, clients and messages of Gotify (docs/gotify.md). */
import type { Generated } from "kysely";

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
}

export interface GotifyClientsTable {
  id: Generated<number>;
  userId: string;
  tokenHash: string;
  name: string;
  createdAt: number;
  lastUsedAt: number | null;
}

export interface GotifyMessagesTable {
  /** Offset of the recipient's row. */
  id: Generated<number>;
  applicationId: number;
  userId: string;
  /** As sent; null: that of the notification. */
  title: string | null;
  message: string | null;
  priority: number;
  extras: string | null;
}

export interface GotifyImagesTable {
  name: string;
  applicationId: number;
  type: string;
  bytes: Uint8Array;
}
