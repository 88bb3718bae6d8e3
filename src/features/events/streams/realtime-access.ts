import { randomBytes } from "node:crypto";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import type { Permission } from "../../../core/permissions.ts";
import type { Clock, EpochMs } from "../../../core/time/clock.ts";
import { hasTokenScope } from "../../../http/server/access.ts";
import type { RealtimeAccess } from "../../../live/connections.ts";
import { type StreamRef, streamName } from "../../../live/stream.ts";
import type { Principals } from "../../access/index.ts";
import { mayUseMessages } from "../../notifications/messages/index.ts";
import { type ChannelRights, isPublicChannel, maySubscribe } from "../../protocols/pusher/index.ts";

/** Who may follow which stream (docs/realtime.md): users their own, and projects they may read. */
export function realtimeAccess(principals: Principals, rights: ChannelRights): RealtimeAccess {
  return {
    check: (principal, stream) => check(rights, principal, stream),
    refresh: (principal) => principals.refresh(principal),
  };
}

/** A ticket for one stream opens no other. @throws CHANNEL_FORBIDDEN */
export function requireTicketFor(principal: Principal, stream: StreamRef): void {
  if (!isTicketFor(principal, stream)) throw new PrismError("CHANNEL_FORBIDDEN", "The ticket is for another stream");
}

function isTicketFor({ onlyStream }: Principal, stream: StreamRef): boolean {
  return onlyStream === undefined || onlyStream === streamName(stream);
}

function check(rights: ChannelRights, principal: Principal, stream: StreamRef): ReturnType<RealtimeAccess["check"]> {
  const { projects } = rights;
  if (!isTicketFor(principal, stream)) return "forbidden";
  switch (stream.kind) {
    case "user":
      return isOwn(principal, stream.userId) && hasTokenScope(principal, ["notifications:own"])
        ? "allowed"
        : "forbidden";
    case "messages":
      return isOwn(principal, stream.userId) && mayUseMessages(principal) ? "allowed" : "forbidden";
    case "tasks":
      return mayReadTasks(principal, stream.userId) ? "allowed" : "forbidden";
    case "channel": {
      const projectId = stream.projectId ?? projects.defaultId;
      if (!projects.exists(projectId)) return "notFound";
      const mayRead =
        principal.kind === "apiKey"
          ? principal.projectId === projectId && principal.scopes.has("realtime:subscribe")
          : projects.has(principal, projectId, "events:read");
      return mayRead ? "allowed" : "forbidden";
    }
    case "system":
      return holds(principal, "system:status") ? "allowed" : "forbidden";
    case "pusher":
      return isPublicChannel(stream.channel) || mayFollowGuarded(principal, stream.channel, rights)
        ? "allowed"
        : "forbidden";
    case "ntfy":
      // Only by ntfy's own routes, which check the topic.
      return "forbidden";
    case "project":
      // A right in all projects includes deleted ones.
      if (!projects.exists(stream.projectId)) return "notFound";
      return projects.has(principal, stream.projectId, "events:read") ? "allowed" : "forbidden";
  }
}

function mayFollowGuarded(principal: Principal, channel: string, rights: ChannelRights): boolean {
  return principal.kind !== "apiKey" && maySubscribe(principal, channel, rights);
}

function isOwn(principal: Principal, userId: string): principal is PermissionHolder {
  return principal.kind !== "apiKey" && principal.userId === userId;
}

/** As over HTTP: a service token without a task scope reads none, not even its user's. */
function mayReadTasks(principal: Principal, userId: string): boolean {
  return holds(principal, "tasks:all") || (isOwn(principal, userId) && holds(principal, "tasks:own"));
}

function holds(principal: Principal, permission: Permission): boolean {
  return principal.kind !== "apiKey" && principal.permissions.has(permission);
}

const LIFE_MS = 60_000;
const MAX_TICKETS = 100_000;
const TICKET_BYTES = 32;

/**
 * Tickets replace a credential in the URL of a live connection, where browsers cannot send one
 * otherwise (docs/realtime.md). A ticket is valid once, for a minute, with the rights of the
 * credential it was issued for. Held in memory as SHA-256; a restart voids them. The oldest ones
 * are dropped when there are too many.
 */
export class RealtimeTickets {
  readonly #tickets: TtlCache<string, Principal>;
  readonly #clock: Clock;

  constructor(clock: Clock, maxTickets = MAX_TICKETS) {
    this.#clock = clock;
    this.#tickets = new TtlCache({ maxEntries: maxTickets, ttlMs: LIFE_MS, clock });
  }

  /** @param stream the only stream it opens; undefined: all streams of the principal. */
  issue(principal: Principal, stream?: string): { readonly ticket: string; readonly expiresAt: EpochMs } {
    const ticket = randomBytes(TICKET_BYTES).toString("base64url");
    const expiresAt = Math.min(this.#clock.now() + LIFE_MS, principal.expiresAt);
    const bound = stream === undefined ? principal : { ...principal, onlyStream: stream };
    this.#tickets.set(hashToken(ticket), bound, expiresAt);
    return { ticket, expiresAt };
  }

  /** Uses a ticket up. @returns its principal when issued; undefined if unknown, used or expired */
  redeem(ticket: string): Principal | undefined {
    const hash = hashToken(ticket);
    const principal = this.#tickets.get(hash);
    this.#tickets.delete(hash);
    return principal;
  }
}
