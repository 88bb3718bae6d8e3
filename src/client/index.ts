export type {
  EventAccepted,
  EventsAccepted,
  FetchLike,
  IdempotencyOptions,
  MissedQuery,
  NotificationQuery,
  Page,
  PrismApi,
  PrismRequest,
  Ticket,
} from "./api.ts";
export type { EventInput, Notification } from "./api-types.gen.ts";
export type { ReconnectOptions } from "./backoff.ts";
export { type ClientEvents, PrismClient, type PrismClientOptions, type Problem } from "./client.ts";
export type { ConnectionState } from "./connection.ts";
export type { CredentialOptions, TokenReason } from "./credentials.ts";
export { PrismError, type PrismErrorDetail, type PrismErrorInit } from "./errors.ts";
export type { AnyEntry, Handler, OffsetStorage, SubscribeOptions, Subscription } from "./subscription.ts";
export type {
  AllRead,
  ChangedNotification,
  DeletedNotification,
  EntriesOf,
  Entry,
  Gap,
  Level,
  NotificationAction,
  PrismEvent,
  UnreadCount,
  UserEntries,
} from "./views.ts";
export type { Environment, EventFilter, WebSocketConstructor, WebSocketLike } from "./wire.ts";
