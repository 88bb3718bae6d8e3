import type { Config } from "../../../config/load.ts";
import type { JsonMembers } from "../../body/input.ts";
import type { Mount } from "../../server/router.ts";
import { ALIASES, operation } from "./operation.ts";
import type { Components } from "./schema.ts";

/**
 * The OpenAPI 3.1 document of the routes. Everything except its introduction comes from the routes.
 * @throws when a schema has no form in JSON Schema.
 */
export function openApiDocument(mounts: readonly Mount[], version: string, limits: Config["rateLimit"]): JsonMembers {
  const shown = mounts.filter(({ route }) => route.undocumented !== true);
  const components: Components = new Map();
  const context = { limits, components, bodies: new Map<unknown, string>(), versioned: versionedPaths(mounts) };
  const paths: Record<string, Record<string, JsonMembers>> = {};
  for (const mount of shown) {
    const path = mount.path.replace(/:(\w+)/g, "{$1}");
    paths[path] ??= {};
    paths[path][mount.route.method.toLowerCase()] = operation(mount, context);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Prism",
      version,
      description: INTRODUCTION,
      contact: { name: "The Prism authors" },
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "This server" }],
    tags: tagsOf(shown),
    paths: inTagOrder(paths),
    components: { securitySchemes: SECURITY_SCHEMES, schemas: { Error: ERROR_SCHEMA, ...sortedByName(components) } },
  };
}

const INTRODUCTION = `Self-hosted alerting, notification and scheduling. All pages: [documentation](/docs).

**Where a token comes from.** \`POST /api/v1/auth/login\` returns an access token, which is valid for minutes.
\`POST /api/v1/users/me/tokens\` creates a service token (\`prt_…\`) for programs, and
\`POST /api/v1/projects/{id}/keys\` an API key (\`prk_…\`) that sends events. On the machine of a server in development
\`GET /dev/token\` returns an access token of the administrator. Send a token as \`Authorization: Bearer …\` and
an API key as \`X-API-Key\`.

**Errors** are \`{error: {code, message, requestId, details?}}\`. Codes are stable; messages are not.

**Lists** are read by \`page\` or \`offset\`, or by following \`nextCursor\`. **Times** are RFC 3339 with an
offset, **durations** milliseconds. The rules of all operations: [HTTP API](/docs/http).

**Live connections** are no operations of this document: WebSocket at \`/ws\`, \`/ws/updates\` and
\`/realtime/{projectId}\` ([Realtime](/docs/realtime)), Socket.IO at \`/socket.io/\` ([Socket.IO](/docs/socketio)),
Pusher clients at \`/app/{key}\` and the Pusher HTTP API at \`/apps/{appId}/…\` ([Pusher](/docs/pusher)).`;

/** The groups of operations in the order of the page, each with its page under /docs. */
const TAGS: readonly (readonly [name: string, text: string, topic: string])[] = [
  ["Events", "Programs send events into projects, and rules evaluate them", "rules"],
  ["Rules", "A condition on events, and who is notified when it matches", "rules"],
  ["Notifications", "Notifications of the caller, and sending them directly", "delivery"],
  ["Incidents", "What people are notified of, and the policies and routes that decide who is", "alerts"],
  ["Silences", "Alerts that notify no one for a time, once or in recurring windows", "alerts"],
  ["Reports", "How incidents went, whom they woke, and what would have saved pages", "reports"],
  ["Alerts", "What fires until it is resolved, from monitoring, rules and programs", "alerts"],
  ["Integrations", "Programs that send alerts as PagerDuty or Opsgenie take them, and their keys", "integrations"],
  ["ntfy", "Topics of ntfy's API, which has a page of its own", "ntfy"],
  ["Receivers", "URLs at which other programs deliver, the mappings of what they send, and a log", "receivers"],
  ["Configuration", "The configuration as files: planned, applied in one transaction, exported", "cli-configuration"],
  ["Status pages", "Public pages about the state of a project, their notices and subscribers", "status-page"],
  ["Messages", "Private messages between two users, now or later", "messages"],
  ["On-call", "Who is on call: schedules, overrides, swaps and calendars", "oncall"],
  ["Timers", "One-shot and recurring timers that notify, emit an event or publish", "timers"],
  ["Schedules", "Jobs that recur by a cron pattern or an interval", "schedules"],
  ["Webhooks", "Signed HTTP calls for the notifications of a user or a project", "webhooks"],
  ["Channels", "Messages to chat, push and paging services, of a user or a project", "channels"],
  ["Deliveries", "Deliveries by push, mail, webhook and service, and the channels they take", "delivery"],
  ["Realtime", "Live streams; the WebSocket protocols have pages of their own", "realtime"],
  ["Pusher", "Signatures for Pusher clients", "pusher"],
  ["Explain", "Why an event or a notification reached a user, or did not", "explain"],
  ["Sounds", "Sounds that rules and notifications play", "sounds"],
  ["Tasks", "The task list of a user", "tasks"],
  ["Transfer buckets", "Balances that are watched against a threshold", "buckets"],
  ["Heartbeats", "Jobs that report by a ping URL, and are overdue when they do not", "heartbeats"],
  ["Projects", "Projects, their members, invitations and API keys", "projects"],
  ["Authentication", "Register, log in, and manage sessions and passwords", "security"],
  ["Users", "The caller's own account, and the accounts of others", "permissions"],
  ["Roles", "Sets of permissions that users hold", "permissions"],
  ["Jobs", "Background jobs and their queues", "jobs"],
  ["Workers", "For programs that run jobs outside the server", "operating"],
  ["Modules", "Loaded modules", "modules"],
  ["Operations", "Health, status and metrics", "operating"],
  ["Cluster", "Several machines: nodes, log and hand-over", "cluster"],
  ["Backups", "Archives of the database: making, checking and downloading them", "backup"],
  ["Settings", "The configuration in use, and changing a part of it", "configuration"],
  ["Audit", "The tamper-evident log of changes", "security"],
];

const MODULE_TAG = /^Module /;

function tagsOf(mounts: readonly Mount[]): readonly JsonMembers[] {
  // A link in the text: the URL of externalDocs must be absolute.
  const known = TAGS.map(([name, text, topic]) => ({ name, description: `${text} ([more](/docs/${topic}))` }));
  const loaded = new Set(mounts.map(({ route }) => route.tag).filter((tag) => MODULE_TAG.test(tag)));
  const modules = [...loaded].sort().map((name) => ({ name, description: "Routes of a loaded module" }));
  const aliases = { name: ALIASES, description: "Second paths of operations above; new clients do not need them" };
  return [...known, ...modules, aliases];
}

/** Paths in the order of their tags: pages and linters show them as they come. */
function inTagOrder(paths: Readonly<Record<string, Record<string, JsonMembers>>>): JsonMembers {
  const order = new Map(TAGS.map(([name], at) => [name, at]));
  const rank = (methods: Record<string, JsonMembers>): number => {
    const tag = String(Object.values(methods)[0]?.["tags"]);
    return order.get(tag) ?? (tag === ALIASES ? TAGS.length + 1 : TAGS.length);
  };
  return Object.fromEntries(Object.entries(paths).sort(([, a], [, b]) => rank(a) - rank(b)));
}

/** Canonical paths of resources with a version: some change of them can answer VERSION_CONFLICT. */
function versionedPaths(mounts: readonly Mount[]): ReadonlySet<string> {
  const changing = mounts.filter(({ route }) => route.errors?.includes("VERSION_CONFLICT"));
  return new Set(changing.map(({ route }) => route.path));
}

function sortedByName(components: Components): JsonMembers {
  return Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const SECURITY_SCHEMES: JsonMembers = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "Access token of `POST /api/v1/auth/login`, or service token (`prt_…`)",
  },
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "API key of a project (`prk_…`)" },
  queryToken: {
    type: "apiKey",
    in: "query",
    name: "token",
    description: "A token or an API key, for clients that cannot set headers",
  },
  ticket: {
    type: "apiKey",
    in: "query",
    name: "ticket",
    description: "From `POST /api/v1/realtime/ticket`: valid once, for a minute",
  },
};

const ERROR_SCHEMA: JsonMembers = {
  type: "object",
  description: "The body of every answer from 400 on",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "requestId"],
      properties: {
        code: { type: "string", description: "Stable code, such as VALIDATION_FAILED" },
        message: { type: "string", description: "For people; may be reworded" },
        requestId: { type: "string", description: "Also in the log of the server" },
        details: {
          type: "array",
          description: "Each problem of the request",
          items: {
            type: "object",
            properties: {
              path: { type: "string", description: "Path of the member, joined by dots" },
              code: { type: "string", description: "What is wrong, such as REQUIRED or TYPE" },
              message: { type: "string", description: "For people" },
              index: { type: "integer", description: "Index of the item in a batch" },
              position: { type: "integer", description: "Character of the text, from 0" },
            },
            additionalProperties: true,
          },
        },
      },
    },
  },
};
