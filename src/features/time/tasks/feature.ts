import { IDEMPOTENCY_ERRORS } from "../../../http/api/idempotency.ts";
import { RawJson, Reply, versioned } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { holderOf, userOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import type { KeptAnswer } from "../../access/index.ts";
import * as s from "./schema.ts";
import type { TasksContext } from "./service.ts";
import * as service from "./service.ts";

const PATH = "/api/v1/tasks";
const ALIAS = "/api/tasks";

/**
 * Tasks of users. The socket that reports changes is in src/live.
 */
export const tasksFeature = feature("tasks", {
  needs: ["users", "reads", "realtime"],
  register: serve,
});

function serve(server: FeatureServer, context: TasksContext): void {
  const own = { tag: "Tasks", access: { permission: "tasks:own" } } as const;
  const all = { path: PATH, aliases: [ALIAS] };
  const one = { path: `${PATH}/:id`, aliases: [`${ALIAS}/:id`], params: s.TaskParams };

  server.route({
    ...own,
    ...all,
    method: "GET",
    id: "listTasks",
    summary: "List the caller's tasks, newest first; another user's with tasks:all",
    query: s.ListTasks,
    response: () => pageOf(s.Task.View),
    tagged: true,
    errors: ["INVALID_CURSOR", "USER_NOT_FOUND"],
    handle: async (exchange, { query }) => answer(await service.listTasks(context, holderOf(exchange), query)),
  });
  server.route({
    ...one,
    tag: own.tag,
    access: { tokenScopes: ["tasks:own", "tasks:all"] },
    method: "GET",
    id: "getTask",
    summary: "Get a task of the caller, or of any user with tasks:all",
    response: () => s.Task.View,
    errors: ["TASK_NOT_FOUND", "UNAUTHORIZED_ROLE"],
    handle: async (exchange, { params }) => answer(await service.getTask(context, holderOf(exchange), params.id)),
  });
  server.route({
    ...own,
    ...all,
    method: "POST",
    id: "createTask",
    summary: "Create a task",
    body: s.CreateTask,
    status: 201,
    response: () => s.Task.View,
    errors: [...IDEMPOTENCY_ERRORS],
    handle(exchange, { body }) {
      const principal = userOf(exchange);
      return context.idempotency.run(exchange, principal, body, async (trx) => {
        const task = await service.createTask(context, principal, body, trx);
        return versioned(task.version, s.Task.view(task), { status: 201 });
      });
    },
  });
  for (const method of ["PUT", "PATCH"] as const) {
    server.route({
      ...own,
      ...one,
      method,
      id: method === "PUT" ? "updateTask" : "patchTask",
      summary: "Update a task of the caller; absent members keep their values",
      body: s.UpdateTask,
      response: () => s.Task.View,
      errors: ["TASK_NOT_FOUND", "VERSION_CONFLICT"],
      async handle(exchange, { params, body }) {
        const task = await service.updateTask(
          context,
          holderOf(exchange),
          params.id,
          exchange.header("if-match"),
          body,
        );
        return versioned(task.version, s.Task.view(task));
      },
    });
  }
  server.route({
    ...own,
    ...one,
    method: "DELETE",
    id: "deleteTask",
    summary: "Delete a task of the caller",
    errors: ["TASK_NOT_FOUND"],
    handle: (exchange, { params }) => service.deleteTask(context, holderOf(exchange), params.id),
  });
}

function answer<V>({ json, etag }: KeptAnswer<V>): Reply<RawJson<V>> {
  return new Reply(200, new RawJson(json), { ETag: etag, "Cache-Control": "private, no-cache" });
}
