import { sql } from "kysely";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { parseQuery } from "../../../http/body/input.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type AcceptContext, storeRequest } from "./accept.ts";
import { receiverAccess } from "./manage.ts";
import { compileGiven } from "./mapping.ts";
import type { Plan, Prepared } from "./prepare.ts";
import type { LoadedPreset } from "./presets.ts";
import type { RawRequest } from "./read-request.ts";
import { mergedMapping, type Receiver, type Receivers } from "./receivers.ts";
import { ReceiverRequest, type RequestRow, requestList } from "./request-log.ts";
import type { GivenRequest, TestReceiver } from "./schema.ts";
import * as s from "./schema.ts";
import type { ReceiverParts } from "./settings.ts";

export type TryContext = ReceiverParts & AcceptContext & { readonly receivers: Receivers };

const PATH = "/api/v1/receivers/:id";
const write = { tag: "Receivers", access: { permission: "receivers:write", within: "project" } } as const;

/** The log of requests, trying and replaying them. */
export function requestRoutes(context: TryContext): Route[] {
  const { db, projects } = context;
  return [
    route({
      ...write,
      path: `${PATH}/requests`,
      params: s.ReceiverParams,
      method: "GET",
      id: "listReceiverRequests",
      summary: "List the last 100 requests of a receiver, newest first, without secrets",
      query: s.ListRequests,
      response: () => pageOf(ReceiverRequest.View),
      errors: ["RECEIVER_NOT_FOUND", "INVALID_CURSOR"],
      async handle(exchange, { params: { id }, query }) {
        await receiverAccess.writable(projects, holderOf(exchange), id, db.read);
        const scope = { visible: sql<boolean>`receiverId = ${id}`, state: undefined };
        return requestList.page(db, scope, query, () => (row) => ReceiverRequest.view(row));
      },
    }),
    route({
      ...write,
      path: `${PATH}/test`,
      params: s.ReceiverParams,
      method: "POST",
      id: "testReceiver",
      summary: "Show what a request would store, with the receiver's or another mapping; nothing is stored",
      body: s.TestReceiver,
      response: s.TestView,
      errors: [
        ...["RECEIVER_NOT_FOUND", "RECEIVER_REQUEST_NOT_FOUND", "MALFORMED_JSON"],
        ...["INVALID_CONDITION", "INVALID_TEMPLATE"],
      ] as const,
      handle: (exchange, { params, body }) => testReceiver(context, holderOf(exchange), params.id, body),
    }),
    route({
      ...write,
      path: `${PATH}/requests/:requestId/replay`,
      params: s.RequestParams,
      method: "POST",
      id: "replayReceiverRequest",
      summary: "Store a request of the log again, as if it arrived now",
      response: s.ReplayView,
      errors: ["RECEIVER_NOT_FOUND", "RECEIVER_REQUEST_NOT_FOUND", "INVALID_STATE", "MALFORMED_JSON"],
      handle: (exchange, { params }) => replayRequest(context, holderOf(exchange), params.id, params.requestId),
    }),
  ];
}

/** Dry run: what this request would store. @throws RECEIVER_NOT_FOUND, RECEIVER_REQUEST_NOT_FOUND … */
async function testReceiver(context: TryContext, principal: PermissionHolder, id: string, input: TestReceiver) {
  const receiver = await readyReceiver(context, principal, id);
  const logged = input.requestId === undefined ? null : await findRequest(context, id, input.requestId);
  const { preset } = receiver;
  const request = logged
    ? rawOfLog(logged)
    : rawOfGiven(input.request ?? sampleOf(preset), preset.sample.headers ?? {});
  const tried = input.mapping === undefined ? receiver : withMapping(receiver, input.mapping);
  return planView((await prepared(context, principal, tried, request)).plan);
}

/** Stores a request of the log as if it arrived now. @throws as above */
async function replayRequest(context: TryContext, principal: PermissionHolder, id: string, requestId: string) {
  const receiver = await readyReceiver(context, principal, id);
  const logged = await findRequest(context, id, requestId);
  if (logged.isCut === 1)
    throw new PrismError(
      "INVALID_STATE",
      "The log has only the start of this request's body, so it cannot be replayed",
    );
  const request = rawOfLog(logged);
  const { plan, entry } = await prepared(context, principal, receiver, request);
  const payer = context.work.ofPrincipal(principal);
  const { result, eventIds, alerts } = await storeRequest(context, receiver, plan, {
    replayIds: [],
    entry,
    payer,
    sender: "known",
  });
  const metadata = { projectId: receiver.row.projectId, requestId, result };
  await context.audit.record({ action: "receiver.replay", resourceType: "receiver", resourceId: id, metadata });
  return { result, eventIds: [...eventIds], alerts: [...alerts] };
}

async function readyReceiver(context: TryContext, principal: PermissionHolder, id: string): Promise<Receiver> {
  await receiverAccess.writable(context.projects, principal, id, context.db.read);
  const receiver = await context.receivers.ready(id);
  if (!receiver) throw new PrismError("RECEIVER_NOT_FOUND", "No such receiver");
  return receiver;
}

async function findRequest({ db }: TryContext, id: string, requestId: string): Promise<RequestRow> {
  const row = await db.read
    .selectFrom("receiver_requests")
    .selectAll()
    .where("id", "=", requestId)
    .where("receiverId", "=", id)
    .executeTakeFirst();
  if (!row) throw new PrismError("RECEIVER_REQUEST_NOT_FOUND", "The log of the receiver has no such request");
  return row;
}

/** The receiver with another mapping, as if it were changed. @throws INVALID_CONDITION, INVALID_TEMPLATE */
function withMapping(receiver: Receiver, mapping: TestReceiver["mapping"]): Receiver {
  const source = mergedMapping(receiver.preset, mapping ?? null);
  return { ...receiver, row: { ...receiver.row }, source, mapping: compileGiven(source), shapes: [] };
}

/** At the cost of the caller. @throws WORK_LIMITED, and for a request that a receiver refuses */
function prepared(
  { work, preparing, clock }: TryContext,
  principal: PermissionHolder,
  receiver: Receiver,
  request: RawRequest,
): Promise<Prepared> {
  const payer = work.ofPrincipal(principal);
  work.require(payer);
  const { row, preset, secrets: hidden } = receiver;
  const given = { row, preset, request, hidden, needsJson: false, signed: null, status: 200, now: clock.now() };
  return preparing.prepare(receiver, given, { payer });
}

function rawOfLog({ method, query, headers, body }: RequestRow): RawRequest {
  return {
    method,
    url: "",
    query: { ...parseQuery(query) },
    headers: JSON.parse(headers) as Record<string, string>,
    bytes: Buffer.from(body ?? []),
  };
}

function rawOfGiven(given: GivenRequest, sampleHeaders: Readonly<Record<string, string>>): RawRequest {
  const { method = "POST", query = "", headers = sampleHeaders, contentType = "application/json", body = "" } = given;
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    method,
    url: "",
    query: { ...parseQuery(query) },
    headers: { "content-type": contentType, ...lower },
    bytes: Buffer.from(body),
  };
}

function sampleOf({ sample }: LoadedPreset): GivenRequest {
  const { method, query, headers, contentType, body } = sample;
  return {
    ...(method !== undefined && { method }),
    ...(query !== undefined && { query }),
    ...(headers !== undefined && { headers }),
    ...(contentType !== undefined && { contentType }),
    body: typeof body === "string" ? body : JSON.stringify(body),
  };
}

function planView({ result, ignored, problem, events, alerts }: Plan) {
  return {
    result,
    ignored,
    problem,
    events: events.map(({ type, level, source = null, occurredAt = null, payload }) => ({
      ...{ type, level, source, occurredAt: toRfc3339OrNull(occurredAt), payload: { ...payload } },
    })),
    alerts: alerts.map(({ key, status, input }) => ({
      key,
      status,
      labels: { ...input.labels },
      annotations: { ...input.annotations },
      generatorUrl: input.generatorUrl ?? null,
      startsAt: toRfc3339OrNull(input.startsAt ?? null),
      endsAt: toRfc3339OrNull(input.endsAt ?? null),
    })),
  };
}
