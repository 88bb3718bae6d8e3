import assert from "node:assert/strict";
import test from "node:test";
import { STATUS_OF } from "../../src/core/errors.ts";
import { VERSION } from "../../src/core/runtime.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { valuesOf } from "../helpers/values.ts";
import { HOOK_PATH } from "./support/access/channels.ts";
import { GOTIFY_PATHS } from "./support/access/gotify.ts";
import { ACCESS } from "./support/access/index.ts";
import { INTEGRATION_PATHS } from "./support/access/integrations.ts";
import { SCOPES } from "./support/access/known.ts";
import { NTFY_PATHS } from "./support/access/ntfy.ts";
import { DOOR_PATHS } from "./support/access/receivers.ts";
import { STATUS_PATHS } from "./support/access/status-page.ts";
import { ALERTMANAGER_PATHS } from "./support/alertmanager-paths.ts";
import { inlined, problemsOf, type Schema, schemaFaults } from "./support/json-schema.ts";
import {
  type Document,
  documentOf,
  METHODS,
  type Operation,
  operationAt,
  operationsOf,
  templateOf,
} from "./support/openapi-document.ts";

/** The management API of Healthchecks, and what belongs to it. */
const CHECKS = ["", "", "/:code", "/:code", "/:code", "/:code/pause", "/:code/resume", "/:code/pings"];
const CHECK_PATHS = [
  ...["/healthchecks/api/v1", "/healthchecks/api/v2", "/healthchecks/api/v3", "/api/v1", "/api/v2", "/api/v3"].flatMap(
    (base) => [
      ...[...CHECKS, "/:code/pings/:n/body", "/:code/flips"].map((rest) => `${base}/checks${rest}`),
      `${base}/channels${base === "/api/v1" ? "/" : ""}`,
      `${base}/badges`,
      ...(base === "/api/v1" ? [] : [`${base}/status`]),
    ],
  ),
  "/projects/:project/metrics",
  "/projects/:project/metrics/",
  "/projects/:project/metrics/:key",
];

test("S2-117, S2-08: the document holds every route of the router, aliases included, and nothing else", async (t) => {
  keepsPromise(t, ["S2-08", "S2-117"]);
  const prism = await startPrism(t);
  const document = await documentOf(prism);
  const served = prism.parts.core.router.mounts
    .filter(({ route }) => route.undocumented !== true)
    .map(({ route, path }) => `${route.method} ${templateOf(path)}`);
  assert.deepEqual(
    operationsOf(document)
      .map(({ name }) => name)
      .sort(),
    served.sort(),
  );
  const left = prism.parts.core.router.mounts.filter(({ route }) => route.undocumented === true);
  assert.deepEqual(
    left.map(({ path }) => path).sort(),
    [
      "/",
      "/account/acknowledge",
      "/account/invite",
      "/account/project-invitation",
      "/account/reset-password",
      "/account/unsubscribe",
      "/account/verify-email",
      ...CHECK_PATHS,
      ...NTFY_PATHS,
      ...Array.from({ length: 5 }, () => "/api/push/:token"),
      "/api/v1/operator/backups",
      "/api/v1/operator/encryption",
      "/api/v1/operator/gotify/applications",
      "/api/v1/operator/gotify/clients",
      "/api/v1/operator/heartbeats/keys",
      "/api/v1/operator/keys",
      "/api/v1/operator/keys/:id",
      "/api/v1/operator/ntfy/tokens",
      "/api/v1/operator/pusher-app",
      "/api/v1/operator/tokens",
      "/api/v1/operator/tokens",
      "/api/v1/operator/tokens/:id",
      "/api/v1/operator/unlock",
      "/api/v1/operator/users",
      "/api/v1/operator/users",
      "/api/v1/operator/users/:ref",
      "/api/v1/operator/users/:ref/passkeys",
      "/api/v1/operator/users/:ref/passkeys/:id",
      "/api/v1/operator/users/:ref/password",
      "/api/v1/operator/users/:ref/sign-in-link",
      "/api/v1/realtime/:projectId",
      "/api/v2/heartbeat/:uuid",
      "/app/:key",
      "/apps/:appId/batch_events",
      "/apps/:appId/channels",
      "/apps/:appId/channels/:name",
      "/apps/:appId/channels/:name/users",
      "/apps/:appId/events",
      "/apps/:appId/users/:id/terminate_connections",
      ...["", "/backchannel-logout", "/callback"].map((path) => `/auth/oidc/:name${path}`),
      "/b/:states/:file",
      "/badge/:key/:file",
      "/badge/:key/:signature/:file",
      "/dashboard",
      "/dashboard/",
      "/dashboard/:part0",
      "/dashboard/:part0/:part1",
      "/dashboard/:part0/:part1/:part2",
      "/dashboard/:part0/:part1/:part2/:part3",
      "/dashboard/assets/:name",
      "/docs/:topic",
      "/docs/decisions/:topic",
      "/docs/integrations/:topic",
      "/docs/images/:name",
      "/docs/init.js",
      "/docs/manual.css",
      "/docs/search",
      "/docs/swagger-ui-bundle.js",
      "/docs/swagger-ui.css",
      ...Array.from({ length: 2 }, () => "/integrations/v1/:type/:token"),
      ...Array.from({ length: 2 }, () => "/integrations/v1/:type/:token/heartbeat"),
      ...["/ping/:target", "/ping/:target/", "/ping/:target/:slug", "/ping/:target/:slug/:action"].flatMap((path) =>
        Array.from({ length: 5 }, () => path),
      ),
      "/realtime/:projectId",
      "/socket.io/",
      "/socket.io/",
      "/socket.io/",
      ...Array.from({ length: 3 }, () => "/v2/heartbeats/:name/ping"),
      "/ws",
      "/ws/updates",
      ...ALERTMANAGER_PATHS,
      ...INTEGRATION_PATHS,
      HOOK_PATH,
      ...DOOR_PATHS,
      ...GOTIFY_PATHS,
      ...STATUS_PATHS,
    ].sort(),
    "what is left out: protocols of their own, routes of the operator, and the parts of the page",
  );
  const [canonical, alias] = await Promise.all([
    prism.get("/api/v1/openapi.json", { token: null }),
    prism.get("/openapi.json"),
  ]);
  assert.equal(canonical.text, alias.text);
});

test("S2-117: the document is OpenAPI 3.1, each operation with its id, parameters, body, answers and errors", async (t) => {
  keepsPromise(t, "S2-117");
  const prism = await startPrism(t);
  const document = await documentOf(prism);
  assert.match(document.openapi, /^3\.1\.\d+$/);
  assert.deepEqual([document.info["title"], document.info["version"]], ["Prism", VERSION]);
  assert.deepEqual(valuesOf(document.servers, "url"), ["/"]);
  for (const [name, schema] of Object.entries(document.components.schemas))
    assert.deepEqual(schemaFaults(inlined(schema, document.components.schemas)), [], name);
  for (const [name, scheme] of Object.entries(document.components.securitySchemes)) {
    assert.ok(scheme["type"] === "http" ? scheme["scheme"] === "bearer" : scheme["type"] === "apiKey", name);
  }
  const operations = operationsOf(document);
  assert.equal(
    new Set(operations.map(({ operation }) => operation.operationId)).size,
    operations.length,
    "ids are unique",
  );
  for (const { name, path, method, operation } of operations) {
    await t.test(name, () => {
      checkOperation(document, path, method, operation);
      checkTexts(document, operation);
    });
  }
});

test("the main resources have one named schema each, which answers refer to", async (t) => {
  const prism = await startPrism(t);
  const document = await documentOf(prism);
  const { schemas } = document.components;
  const names = [
    ...["ApiKey", "AuditRow", "Delivery", "Error", "Event", "Job", "JobDetail", "Message", "Notification"],
    ...["NotificationDetail", "Project", "ProjectDetail", "ProjectMember", "Queue", "Role", "Rule", "RuleVersion"],
    ...["RuleWithWarnings", "Schedule", "ServiceToken", "Session", "Sound", "Task", "Timer", "TransferBucket", "User"],
    ...["Webhook", "WebhookWithSecret"],
  ];
  for (const name of [...names, "RulePage", "CreateRule"]) assert.equal(schemas[name]?.["type"], "object", name);
  const listed = document.paths["/api/v1/rules"]?.["get"]?.responses["200"]?.content?.["application/json"]?.schema;
  assert.deepEqual(listed, { $ref: "#/components/schemas/RulePage" });
  const { data } = (schemas["RulePage"]?.["properties"] ?? {}) as Readonly<Record<string, Schema>>;
  assert.deepEqual(data?.["items"], { $ref: "#/components/schemas/Rule" });
  const made = document.paths["/api/v1/rules"]?.["post"]?.requestBody?.content["application/json"]?.schema;
  assert.deepEqual(made, { $ref: "#/components/schemas/CreateRule" });
  const own = document.paths["/api/v1/users/me"]?.["get"]?.responses["200"]?.content?.["application/json"]?.schema;
  assert.deepEqual(own, { $ref: "#/components/schemas/User" });
  const written = JSON.stringify(document.paths);
  const text = JSON.stringify(document);
  for (const name of Object.keys(schemas)) assert.ok(text.includes(`schemas/${name}"`), name);
  const whole = JSON.stringify(inlined({ paths: document.paths } as Schema, { ...schemas, Error: {} })).length;
  assert.ok(written.length < whole, `${written.length} of ${whole} characters`);
});

function checkOperation(document: Document, path: string, method: string, operation: Operation): void {
  assert.ok(METHODS.includes(method), "an unknown method");
  assert.match(operation.operationId, /^[a-zA-Z0-9_]+$/);
  assert.ok(operation.summary.length > 5 && operation.tags.length === 1, "a summary and one tag");
  for (const requirement of operation.security) {
    for (const scheme of Object.keys(requirement)) assert.ok(scheme in document.components.securitySchemes, scheme);
  }
  const inPath = operation.parameters.filter((parameter) => parameter.in === "path");
  assert.deepEqual(
    inPath.map(({ name, required }) => [name, required]),
    [...path.matchAll(/\{(\w+)\}/g)].map((match) => [match[1], true]),
  );
  const names = operation.parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
  assert.equal(new Set(names).size, names.length, "no parameter twice");
  for (const parameter of operation.parameters) {
    assert.ok(["path", "query", "header"].includes(parameter.in), `a parameter in ${parameter.in}`);
    assert.deepEqual(schemaFaults(parameter.schema, parameter.name), []);
  }
  if (operation.requestBody) {
    const isRemoval =
      method === "delete" && ["removeSecondFactor", "removePasskey"].includes(operation.operationId ?? "");
    assert.ok(isRemoval || ["post", "put", "patch"].includes(method), "only these have a body");
    for (const { schema } of Object.values(operation.requestBody.content))
      assert.deepEqual(schemaFaults(inlined(schema, document.components.schemas)), []);
  }
  const statuses = Object.keys(operation.responses);
  assert.ok(
    statuses.some((status) => /^2\d\d$/.test(status)),
    "a success",
  );
  for (const [status, { description, content }] of Object.entries(operation.responses)) {
    assert.notEqual(description, "");
    for (const [type, { schema }] of Object.entries(content ?? {})) {
      if (Number(status) < 400 || (status === "503" && path.includes("health")))
        assert.deepEqual(schemaFaults(inlined(schema, document.components.schemas)), []);
      else {
        assert.deepEqual([type, schema], ["application/json", { $ref: "#/components/schemas/Error" }]);
        for (const code of description.split(", "))
          assert.equal(STATUS_OF[code as keyof typeof STATUS_OF], Number(status), code);
      }
    }
  }
  const original = operation["x-alias-of"];
  if (original !== undefined) {
    const { operationId, "x-alias-of": _alias, parameters, tags, description, ...rest } = operation;
    const {
      operationId: canonicalId,
      parameters: originals,
      tags: _tags,
      description: canonicalDescription,
      ...canonical
    } = document.paths[original]?.[method] ?? ({} as Operation);
    assert.deepEqual(tags, ["Aliases"], "in a group of their own");
    assert.ok(operationId.startsWith(`${canonicalId}At`), operationId);
    assert.equal(description, `Alias of \`${method.toUpperCase()} ${original}\`.\n\n${canonicalDescription}`);
    assert.deepEqual(rest, canonical, "an alias is its canonical operation");
    assert.equal(parameters.length, originals?.length);
  }
}

/** Words for what a reader must know: no operation, parameter, body member or success is without. */
function checkTexts(document: Document, operation: Operation): void {
  const { operationId, summary, description, tags, parameters, requestBody, responses } = operation;
  assert.match(operationId, /^[a-z]+[A-Z]\w+$|^(register|login|logout|publish|unsubscribe)$|At[A-Z]/, operationId);
  assert.match(summary, /^[A-Z][a-z-]+ .*[^.]$/, "an imperative without a full stop");
  assert.match(description, /\*\*Access:\*\* .+\.\n\n\*\*Rate limit:\*\* .+\.$/s);
  const permission = operation["x-permission"];
  if (permission !== undefined) assert.ok(description.includes(`permission \`${permission}\``), permission);
  for (const count of Object.values(operation["x-rate-limit"] ?? {}))
    assert.match(description, new RegExp(`[ :]${count} per `), "each limit");
  for (const tag of tags)
    assert.ok(
      document.tags.some(({ name }) => name === tag),
      tag,
    );
  for (const parameter of parameters) assert.match(parameter.description ?? "", /\w{3}/, parameter.name);
  for (const [type, { schema, example }] of Object.entries(requestBody?.content ?? {})) {
    const body = inlined(schema, document.components.schemas);
    assert.deepEqual(undescribed(body), [], type);
    const isFile = operation.summary.startsWith("Upload");
    assert.equal(example !== undefined, !isFile, `an example of ${type}`);
    if (example !== undefined) assert.deepEqual(problemsOf(body, example), []);
  }
  for (const [status, response] of Object.entries(responses)) {
    if (Number(status) >= 300) continue;
    assert.match(response.description, /^\w.{5,}/, `${status} in words`);
  }
  assert.ok(
    Object.keys(responses).some((status) => status.startsWith("4")),
    "an answer of 400 or more",
  );
}

/** Paths of members without a description. */
function undescribed(schema: Schema, at = ""): string[] {
  const {
    properties = {},
    items,
    anyOf = [],
    oneOf = [],
  } = schema as {
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly items?: Schema;
    readonly anyOf?: readonly Schema[];
    readonly oneOf?: readonly Schema[];
  };
  const members = Object.entries(properties).flatMap(([name, member]) => [
    ...(member["description"] === undefined ? [`${at}.${name}`] : []),
    ...undescribed(member, `${at}.${name}`),
  ]);
  return [...members, ...[...anyOf, ...oneOf, ...(items ? [items] : [])].flatMap((each) => undescribed(each, at))];
}

test("groups of operations have a description and an order: what people use first, aliases last", async (t) => {
  const prism = await startPrism(t);
  const { tags, info, paths } = await documentOf(prism);
  const names = tags.map(({ name }) => name);
  assert.deepEqual(names.slice(0, 3), ["Events", "Rules", "Notifications"]);
  assert.deepEqual(names.slice(-2), ["Audit", "Aliases"]);
  for (const { name, description } of tags) assert.ok(description.length > 10, name);
  assert.deepEqual(info["contact"], { name: "The Prism authors" });
  assert.deepEqual(info["license"], { name: "MIT", identifier: "MIT" });
  for (const text of ["/api/v1/auth/login", "/dev/token", "/docs/realtime", "/docs/socketio", "/docs/pusher"])
    assert.ok(String(info["description"]).includes(text), text);
  const links = new Set(JSON.stringify({ info, tags }).match(/\/docs(\/[a-z-]+)?(?=\))/g));
  assert.ok(links.size > 15);
  for (const link of links) assert.equal((await prism.get(link, { token: null })).status, 200, link);
  const used = Object.values(paths).flatMap((methods) => Object.values(methods).flatMap((each) => each.tags));
  assert.deepEqual(new Set(used), new Set(names), "no group is empty");
});

/** Paths that a request could match both of, segment by segment. */
function ambiguous(paths: readonly string[]): string[] {
  const meets = (one: string, other: string): boolean => one === other || /^\{/.test(one) || /^\{/.test(other);
  return paths.flatMap((path, at) =>
    paths.slice(at + 1).flatMap((other) => {
      const [a, b] = [path.split("/"), other.split("/")];
      const isSame = a.length === b.length && a.every((segment, i) => meets(segment, b[i] ?? ""));
      // A literal instead of a parameter at one position makes one path a special case of the
      // other.
      const differing = a.filter((segment, i) => segment !== b[i]).length;
      return isSame && differing > 1 ? [`${path} ${other}`] : [];
    }),
  );
}

test("linters find nothing: no identical or unexplained ambiguous paths, no unused schemas", async (t) => {
  const prism = await startPrism(t);
  const document = await documentOf(prism);
  const paths = Object.keys(document.paths);
  const unnamed = paths.map((path) => path.replace(/\{\w+\}/g, "{}"));
  assert.equal(new Set(unnamed).size, paths.length, "no two paths that differ in the names of parameters alone");
  for (const path of paths) assert.doesNotMatch(path, /[?#]|.\/$|\/\//);
  // A literal segment takes precedence, as the operation says.
  const literal = { "/api/v1/notifications/scheduled/{jobId}": "delete", "/api/v1/notifications/user/{userId}": "get" };
  const claims = { "/api/v1/integrations/claims/{id}": "post" };
  assert.deepEqual(ambiguous(paths), [
    ...Object.keys(literal).flatMap((path) =>
      ["recipients", "read", "acknowledge", "webview-action"].map(
        (last) => `${path} /api/v1/notifications/{id}/${last}`,
      ),
    ),
    ...Object.keys(claims).map((path) => `/api/v1/integrations/{id}/rotate ${path}`),
  ]);
  for (const [path, method] of Object.entries({ ...literal, ...claims }))
    assert.match(document.paths[path]?.[method]?.description ?? "", /takes precedence/, path);
  const text = JSON.stringify(document);
  for (const name of Object.keys(document.components.schemas))
    assert.ok(text.includes(`"#/components/schemas/${name}"`), `${name} is used`);
});

test("a path parameter has the name of what it is", async (t) => {
  const prism = await startPrism(t);
  const { paths } = await documentOf(prism);
  const parameter = (method: string) =>
    paths["/notifications/{id}"]?.[method]?.parameters.find((each) => each.in === "path")?.description;
  assert.equal(parameter("get"), "Id, external id, username or mail address, or `me`");
  assert.equal(parameter("delete"), "Id of the job, or of the schedule of a recurring timer");
});

/** Contract 12.4, the limit `auth`. */
const ATTEMPTS: Readonly<Record<string, object>> = {
  "/api/v1/auth/register": { perAddress: 20 },
  "/api/v1/auth/login": { perAddress: 20, perName: 10 },
  "/api/v1/auth/login/second-factor": { perAddress: 20, perName: 10 },
  "/api/v1/auth/sign-in-link": { perAddress: 20 },
  "/api/v1/auth/passkey/begin": { perAddress: 20 },
  "/api/v1/auth/passkey": { perAddress: 20, perName: 10 },
  "/api/v1/auth/resend-verification": { perAddress: 20 },
  "/api/v1/auth/verify-email": { perAddress: 20 },
  "/api/v1/auth/forgot-password": { perAddress: 20 },
};

test("S2-118: the document says of each route who may call it and how often, as the contract does", async (t) => {
  keepsPromise(t, "S2-118");
  const prism = await startPrism(t);
  const document = await documentOf(prism);
  const { ip, user, key, uploads } = prism.parts.base.config.rateLimit;
  for (const mount of prism.parts.core.router.mounts) {
    if (mount.route.undocumented) continue;
    const { security, responses, "x-rate-limit": limit } = operationAt(document, mount);
    const rows = ACCESS[`${mount.route.method} ${mount.route.path}`] ?? [];
    const isPublic = rows.every((row) => row.isPublic);
    // With a key its answer is that of Healthchecks, which the document does not have.
    const isOfKeys = mount.route.id !== "listChannels";
    const admitsKeys = SCOPES.some((scope) =>
      rows.some((row) => isOfKeys && !row.isPublic && row.refusal({ kind: "key", scope, isOfShop: true }) === null),
    );
    const schemes = security.flatMap((requirement) => Object.keys(requirement));
    const name = `${mount.route.method} ${mount.path}`;
    assert.deepEqual([schemes.includes("bearer"), schemes.includes("apiKey")], [!isPublic, admitsKeys], name);
    // A browser downloads with a ticket: it cannot set headers.
    assert.equal(
      schemes.includes("queryToken"),
      /\/(sse|notifications\/stream|download)$/.test(mount.path) || /^POST .*\/(events|ingest)$/.test(name),
      name,
    );
    if (!isPublic) assert.ok("401" in responses && "403" in responses, name);
    if (mount.path.includes("/health")) assert.deepEqual(limit, {}, name);
    else if (isPublic) assert.deepEqual(limit, ATTEMPTS[mount.route.path] ?? { perAddress: ip }, name);
    else
      assert.deepEqual(
        limit,
        {
          perUser: name === "POST /api/v1/sounds" ? uploads : user,
          ...(admitsKeys ? { perKey: key } : {}),
          perAddressWithoutCredentials: ip,
        },
        name,
      );
  }
});
