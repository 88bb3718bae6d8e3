import type {
  AlertRoutingTable,
  AlertRoutingVersionsTable,
  AlertSignalsTable,
  AlertSource,
  AlertState,
  AlertsTable,
  ComponentState,
  ContactRulesTable,
  DrillPeopleTable,
  DrillsTable,
  DrillWaysTable,
  FailedWaysTable,
  HeartbeatFlipsTable,
  HeartbeatKeysTable,
  HeartbeatPingsTable,
  HeartbeatStatus,
  IncidentAcksTable,
  IncidentAlertsTable,
  IncidentLogTable,
  IncidentsTable,
  PagesTable,
  PagingWarningsTable,
  PingKind,
  PoliciesTable,
  PolicyTurnsTable,
  PolicyVersionsTable,
  SilenceHitsTable,
  StatusChangesTable,
  StatusNoticesTable,
  StatusNoticeUpdatesTable,
  StatusPagesTable,
  StatusSentTable,
  StatusSubscribersTable,
  WayNoticesTable,
} from "./schema/alerts.ts";
import type {
  ChannelMessagesTable,
  ChannelsTable,
  DecisionOutcome,
  DecisionsTable,
  DeliveriesTable,
  DeliveryState,
  EventConsumersTable,
  EventFailuresTable,
  EventSlicesTable,
  EventsTable,
  MessageStatus,
  MessagesTable,
  NotificationKind,
  NotificationRecipientsTable,
  NotificationsTable,
  OutsideChannel,
  RuleAbsencesTable,
  RuleStatsTable,
  RulesTable,
  RuleVersionsTable,
  SealedMailsTable,
  SoundsTable,
  StreamGapsTable,
  StreamLogTable,
  SuppressedBatchesTable,
  SuppressedKeysTable,
  SuppressionWindowsTable,
  TaskStatus,
  TasksTable,
  TransferBucketsTable,
  WebhooksTable,
} from "./schema/events.ts";
import type {
  GotifyApplicationsTable,
  GotifyClientsTable,
  GotifyImagesTable,
  GotifyMessagesTable,
} from "./schema/gotify.ts";
import type {
  NtfyAccessTable,
  NtfyAttachmentsTable,
  NtfyMessagesTable,
  NtfyPermission,
  NtfyTokensTable,
  NtfyTopicKind,
  NtfyTopicsTable,
} from "./schema/ntfy.ts";
import type {
  ApiKeysTable,
  LostRightsTable,
  OnCallCalendarsTable,
  OnCallConflictsTable,
  OnCallDaysOffTable,
  OnCallGapsTable,
  OnCallNoticesTable,
  OnCallSchedulesTable,
  OnCallShiftsTable,
  OnCallUsersTable,
  OneTimeTokensTable,
  ProjectInvitationsTable,
  ProjectMembersTable,
  ProjectRole,
  ProjectStorageTable,
  ProjectsTable,
  ProjectTextsTable,
  PushDevicesTable,
  RefreshTokensTable,
  RolesTable,
  SecondFactorsTable,
  ServiceTokensTable,
  SessionsTable,
  UserRolesTable,
  UserStatus,
  UsersTable,
} from "./schema/people.ts";
import type {
  IntegrationKind,
  ReceiverEventsTable,
  ReceiverReplaysTable,
  ReceiverRequestsTable,
  RequestResult,
} from "./schema/receivers.ts";
import type {
  AuditLogTable,
  Flag,
  IdempotencyKeysTable,
  JobAttemptsTable,
  JobState,
  JobsTable,
  MigrationsTable,
  ModuleKvTable,
  ModulesTable,
  SchedulesTable,
  SettingsTable,
  WorkersTable,
} from "./schema/system.ts";

export { JOB_STATES } from "./schema/system.ts";
export type {
  AlertSignalsTable,
  AlertSource,
  AlertState,
  AlertsTable,
  AuditLogTable,
  ChannelMessagesTable,
  ChannelsTable,
  ComponentState,
  DecisionOutcome,
  DecisionsTable,
  DeliveriesTable,
  DeliveryState,
  EventFailuresTable,
  EventSlicesTable,
  EventsTable,
  Flag,
  GotifyApplicationsTable,
  GotifyClientsTable,
  HeartbeatFlipsTable,
  HeartbeatKeysTable,
  HeartbeatPingsTable,
  HeartbeatStatus,
  IncidentsTable,
  IntegrationKind,
  JobAttemptsTable,
  JobState,
  JobsTable,
  MessageStatus,
  MessagesTable,
  NotificationKind,
  NotificationRecipientsTable,
  NotificationsTable,
  NtfyAccessTable,
  NtfyAttachmentsTable,
  NtfyMessagesTable,
  NtfyPermission,
  NtfyTokensTable,
  NtfyTopicKind,
  NtfyTopicsTable,
  OnCallCalendarsTable,
  OnCallDaysOffTable,
  OnCallSchedulesTable,
  OnCallShiftsTable,
  OutsideChannel,
  PingKind,
  PoliciesTable,
  ProjectRole,
  ReceiverRequestsTable,
  RequestResult,
  RuleStatsTable,
  RulesTable,
  SchedulesTable,
  SilenceHitsTable,
  SoundsTable,
  StatusNoticesTable,
  StatusPagesTable,
  StatusSentTable,
  StatusSubscribersTable,
  StreamGapsTable,
  SuppressedBatchesTable,
  SuppressedKeysTable,
  TaskStatus,
  TasksTable,
  TransferBucketsTable,
  UserStatus,
  UsersTable,
  WebhooksTable,
};

/**
 * The tables as Kysely sees them. JSON columns are text, booleans 0 or 1, instants integer epoch
 * ms. They are grouped in schema/; the DDL is in migrations/; a test compares the two column by
 * column.
 */
export interface Schema {
  settings: SettingsTable;
  roles: RolesTable;
  users: UsersTable;
  user_roles: UserRolesTable;
  service_tokens: ServiceTokensTable;
  sessions: SessionsTable;
  refresh_tokens: RefreshTokensTable;
  one_time_tokens: OneTimeTokensTable;
  second_factors: SecondFactorsTable;
  push_devices: PushDevicesTable;
  projects: ProjectsTable;
  project_invitations: ProjectInvitationsTable;
  project_storage: ProjectStorageTable;
  project_texts: ProjectTextsTable;
  project_members: ProjectMembersTable;
  lost_rights: LostRightsTable;
  api_keys: ApiKeysTable;
  events: EventsTable;
  event_failures: EventFailuresTable;
  event_slices: EventSlicesTable;
  rules: RulesTable;
  rule_versions: RuleVersionsTable;
  rule_absences: RuleAbsencesTable;
  rule_stats: RuleStatsTable;
  decisions: DecisionsTable;
  suppression_windows: SuppressionWindowsTable;
  suppressed_batches: SuppressedBatchesTable;
  suppressed_keys: SuppressedKeysTable;
  deliveries: DeliveriesTable;
  sealed_mails: SealedMailsTable;
  channels: ChannelsTable;
  channel_messages: ChannelMessagesTable;
  webhooks: WebhooksTable;
  transfer_buckets: TransferBucketsTable;
  sounds: SoundsTable;
  notifications: NotificationsTable;
  notification_recipients: NotificationRecipientsTable;
  alerts: AlertsTable;
  receiver_events: ReceiverEventsTable;
  receiver_requests: ReceiverRequestsTable;
  receiver_replays: ReceiverReplaysTable;
  status_pages: StatusPagesTable;
  status_changes: StatusChangesTable;
  status_sent: StatusSentTable;
  status_notices: StatusNoticesTable;
  status_notice_updates: StatusNoticeUpdatesTable;
  status_subscribers: StatusSubscribersTable;
  alert_signals: AlertSignalsTable;
  alert_routing: AlertRoutingTable;
  alert_routing_versions: AlertRoutingVersionsTable;
  policies: PoliciesTable;
  policy_versions: PolicyVersionsTable;
  policy_turns: PolicyTurnsTable;
  incidents: IncidentsTable;
  incident_alerts: IncidentAlertsTable;
  pages: PagesTable;
  failed_ways: FailedWaysTable;
  way_notices: WayNoticesTable;
  drills: DrillsTable;
  drill_ways: DrillWaysTable;
  drill_people: DrillPeopleTable;
  paging_warnings: PagingWarningsTable;
  incident_acks: IncidentAcksTable;
  incident_log: IncidentLogTable;
  silence_hits: SilenceHitsTable;
  contact_rules: ContactRulesTable;
  oncall_schedules: OnCallSchedulesTable;
  oncall_shifts: OnCallShiftsTable;
  oncall_calendars: OnCallCalendarsTable;
  oncall_notices: OnCallNoticesTable;
  oncall_gaps: OnCallGapsTable;
  oncall_users: OnCallUsersTable;
  oncall_days_off: OnCallDaysOffTable;
  oncall_conflicts: OnCallConflictsTable;
  heartbeat_pings: HeartbeatPingsTable;
  heartbeat_flips: HeartbeatFlipsTable;
  heartbeat_keys: HeartbeatKeysTable;
  ntfy_topics: NtfyTopicsTable;
  ntfy_access: NtfyAccessTable;
  ntfy_messages: NtfyMessagesTable;
  ntfy_tokens: NtfyTokensTable;
  ntfy_attachments: NtfyAttachmentsTable;
  gotify_applications: GotifyApplicationsTable;
  gotify_clients: GotifyClientsTable;
  gotify_messages: GotifyMessagesTable;
  gotify_images: GotifyImagesTable;
  stream_log: StreamLogTable;
  stream_gaps: StreamGapsTable;
  jobs: JobsTable;
  job_attempts: JobAttemptsTable;
  workers: WorkersTable;
  schedules: SchedulesTable;
  messages: MessagesTable;
  tasks: TasksTable;
  modules: ModulesTable;
  module_kv: ModuleKvTable;
  event_consumers: EventConsumersTable;
  idempotency_keys: IdempotencyKeysTable;
  audit_log: AuditLogTable;
  migrations: MigrationsTable;
  /** SQLite's own: the last number of each AUTOINCREMENT table. */
  sqlite_sequence: { name: string; seq: number };
}
