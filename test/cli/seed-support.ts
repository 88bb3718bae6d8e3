export interface Seeded {
  readonly accounts: readonly { username: string; email: string; role: string; password: string | null }[];
  readonly made: Readonly<Record<string, number>>;
  readonly kept: Readonly<Record<string, number>>;
  readonly apiKey: string | null;
}

export const env = { PRISM_AUTH_BCRYPT_COST: "4" };

/** What `seed --demo --events 200` creates in a database without sample data; only a new one gets earlier incidents. */
export const DEMO_MADE = {
  accounts: 6,
  roles: 1,
  colleagues: 5,
  projects: 2,
  sounds: 2,
  rules: 11,
  buckets: 5,
  webhooks: 3,
  schedules: 5,
  preferences: 2,
  events: 200,
  tasks: 25,
  notifications: 1,
  messages: 5,
  timers: 3,
  "dead jobs": 3,
  "on-call schedules": 2,
  heartbeats: 5,
  "status pages": 3,
  receivers: 3,
  channels: 3,
  publications: 1,
  invitations: 1,
  backups: 1,
  policies: 3,
  routes: 1,
  "contact rules": 1,
  silences: 4,
  "earlier incidents": 0,
  incidents: 6,
};
