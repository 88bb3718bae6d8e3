import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { promise } from "../helpers/promise.ts";
import { ACCESS } from "./support/access/index.ts";
import { ANYBODY } from "./support/access/known.ts";
import { makeAccessWorld } from "./support/access/world.ts";
import { closed, inlined, problemsOf } from "./support/json-schema.ts";
import { type Document, documentOf, type Operation, operationAt } from "./support/openapi-document.ts";

test(
  "S2-117: what the document says of bodies and answers is what the server takes and gives, on every route",
  promise("S2-117", async (t) => {
    const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false", "auth.bcryptCost": "4" } });
    const world = await makeAccessWorld(prism);
    const document = await documentOf(prism);
    const senders = world.callers.filter(({ name }) =>
      ["Admin, owner", "no role, stranger", "key of the project, events:read", "nobody", "disabled user"].includes(
        name,
      ),
    );
    assert.equal(senders.length, 5);
    for (const mount of prism.parts.http.router.mounts) {
      const { route } = mount;
      if (mount.isAlias || route.undocumented) continue;
      await t.test(`${route.method} ${route.path}`, async () => {
        const operation = operationAt(document, mount);
        for (const row of ACCESS[`${route.method} ${route.path}`] ?? []) {
          for (const caller of senders) {
            // With a key its answer is that of Healthchecks.
            if (operation.operationId === "listChannels" && caller.kind === "key") continue;
            const known = caller.kind === "refused" ? ANYBODY : caller;
            const isServed = caller.kind !== "refused" && row.refusal(caller) === null;
            const { path, body, method = route.method } = await row.request(world, known, isServed);
            if (body !== undefined) checkBody(document, operation, body);
            const reply = await prism.request(method, path, body, { token: null, headers: caller.headers });
            checkAnswer(document, operation, reply, method);
          }
        }
      });
    }
    await t.test("the second success of a route is documented as well", async () => {
      const at = (path: string, method: string) => document.paths[path]?.[method]?.responses ?? {};
      assert.deepEqual(at("/api/v1/realtime/{projectId}/sse", "get")["204"], {
        description: "Nothing now, and nothing to follow",
      });
      assert.equal("202" in at("/api/v1/projects/{id}/events", "delete"), true);
      assert.equal("503" in at("/health", "get"), true);
    });
    await t.test("304 is documented where an ETag is given", async (t) => {
      await checkNotModified(t, prism, document, `/api/v1/rules/${world.rule}`, "/api/v1/rules/{id}");
      await checkNotModified(t, prism, document, `/api/v1/projects/${world.shop}`, "/api/v1/projects/{id}");
      await checkNotModified(t, prism, document, `/api/v1/roles/${world.role}`, "/api/v1/roles/{id}");
      await checkNotModified(t, prism, document, "/api/v1/roles", "/api/v1/roles");
      assert.equal("304" in (document.paths["/api/v1/rules"]?.["get"]?.responses ?? {}), false);
    });
  }),
);

function checkBody(document: Document, { requestBody }: Operation, body: unknown): void {
  const schema = requestBody?.content["application/json"]?.schema;
  assert.ok(schema, "a body that is not documented");
  assert.deepEqual(problemsOf(inlined(schema, document.components.schemas), body), []);
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
  readonly text: string;
}

function checkAnswer(document: Document, operation: Operation, reply: Answer, method: string): void {
  const documented = operation.responses[String(reply.status)];
  assert.ok(documented, `${reply.status} is not documented: ${reply.text.slice(0, 200)}`);
  const type = (reply.headers.get("content-type") ?? "").split(";")[0] ?? "";
  if (reply.status === 204) assert.deepEqual([documented.content, reply.text], [undefined, ""]);
  else assert.ok(type in (documented.content ?? {}), `${reply.status} is ${type}`);
  if (type !== "application/json" || method === "HEAD") return;
  if (reply.status >= 400) {
    const { code } = (reply.body as { error: { code: string } }).error;
    assert.ok(documented.description.split(", ").includes(code), `${code} is not documented for ${reply.status}`);
    assert.deepEqual(problemsOf(closed(document.components.schemas["Error"] ?? {}), reply.body), []);
    return;
  }
  const { schemas } = document.components;
  const schema = inlined(documented.content?.["application/json"]?.schema ?? {}, schemas);
  // The document names only the members of its own that every OpenAPI document has.
  const isDocument = operation.operationId === "getOpenApiDocument";
  assert.deepEqual(problemsOf(isDocument ? schema : closed(schema), reply.body), []);
}

async function checkNotModified(
  t: TestContext,
  prism: TestPrism,
  document: Document,
  path: string,
  at: string,
): Promise<void> {
  await t.test(path, async () => {
    const first = await prism.get(path);
    const again = await prism.get(path, { headers: { "If-None-Match": first.headers.get("etag") ?? "" } });
    assert.equal(again.status, 304);
    assert.equal("304" in (document.paths[at]?.["get"]?.responses ?? {}), true);
  });
}
