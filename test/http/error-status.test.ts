import assert from "node:assert/strict";
import test from "node:test";
import { ERROR_CODES, PrismError, STATUS_OF } from "../../src/core/errors.ts";
import { endsConnection, errorBody, errorHeaders, toPrismError } from "../../src/http/api/error-reply.ts";
import { statusLine } from "../../src/http/server/headers.ts";
import { keepsPromise } from "../helpers/promise.ts";

/** The documented list (contract 4.2), by status. */
const DOCUMENTED: Readonly<Record<number, string>> = {
  400: "VALIDATION_FAILED MALFORMED_JSON AMBIGUOUS_CREDENTIALS INVALID_CURSOR INVALID_TIMEZONE INVALID_CRON",
  401: "UNAUTHENTICATED INVALID_CREDENTIALS TOKEN_EXPIRED TOKEN_INVALID REFRESH_REUSED SESSION_REVOKED INVALID_API_KEY SIGNATURE_INVALID SECOND_FACTOR_REQUIRED",
  403: "UNAUTHORIZED_ROLE FORBIDDEN SCOPE_MISSING ACCOUNT_PENDING ACCOUNT_DISABLED ACCOUNT_UNVERIFIED REGISTRATION_CLOSED LOCAL_LOGIN_OFF PROXY_REFUSED ORIGIN_REFUSED CHANNEL_FORBIDDEN ACCOUNT_NOT_LINKED PROVIDER_REFUSED",
  404: "NOT_FOUND USER_NOT_FOUND ROLE_NOT_FOUND PROJECT_NOT_FOUND API_KEY_NOT_FOUND EVENT_NOT_FOUND RULE_NOT_FOUND ALERT_NOT_FOUND NOTIFICATION_NOT_FOUND JOB_NOT_FOUND SCHEDULE_NOT_FOUND SHIFT_NOT_FOUND DAYS_OFF_NOT_FOUND DRILL_NOT_FOUND QUEUE_NOT_FOUND RECEIVER_NOT_FOUND RECEIVER_REQUEST_NOT_FOUND BUCKET_NOT_FOUND SOUND_NOT_FOUND MESSAGE_NOT_FOUND TASK_NOT_FOUND SESSION_NOT_FOUND IDENTITY_NOT_FOUND WEBHOOK_NOT_FOUND DELIVERY_NOT_FOUND CHANNEL_NOT_FOUND PUSH_SUBSCRIPTION_NOT_FOUND MODULE_NOT_FOUND TOKEN_NOT_FOUND PASSKEY_NOT_FOUND HEARTBEAT_NOT_FOUND INCIDENT_NOT_FOUND SILENCE_NOT_FOUND INTEGRATION_NOT_FOUND STATUS_NOTICE_NOT_FOUND SUBSCRIBER_NOT_FOUND POLICY_NOT_FOUND INVITATION_NOT_FOUND",
  405: "METHOD_NOT_ALLOWED",
  408: "REQUEST_TIMEOUT",
  409: "EMAIL_TAKEN USERNAME_TAKEN PHONE_TAKEN NAME_TAKEN ROLE_IN_USE CHANNEL_IN_USE ROLE_BUILTIN LAST_ADMIN RIGHTS_FROM_GROUPS SOUND_IN_USE ON_CALL_SCHEDULE_IN_USE INVALID_STATE INCIDENTS_OPEN LIMIT_REACHED JOB_NOT_CANCELLABLE MESSAGE_NOT_CANCELLABLE IDEMPOTENCY_IN_PROGRESS DEFAULT_PROJECT ID_CONFLICT ID_TAKEN IDENTITY_TAKEN SETTING_FIXED MANAGED_BY_CODE CONFIGURATION_REFUSED NO_STANDBY",
  410: "LINK_EXPIRED SIGN_IN_EXPIRED",
  411: "LENGTH_REQUIRED",
  412: "VERSION_CONFLICT",
  413: "PAYLOAD_TOO_LARGE BATCH_TOO_LARGE",
  414: "URI_TOO_LONG",
  415: "UNSUPPORTED_MEDIA_TYPE INVALID_AUDIO",
  422: "INVALID_CONDITION INVALID_TEMPLATE RECIPIENT_NOT_FOUND BATCH_REJECTED IDEMPOTENCY_KEY_REUSED PRIVILEGE_ESCALATION URL_REFUSED WEAK_PASSWORD",
  426: "UPGRADE_REQUIRED",
  429: "RATE_LIMITED WORK_LIMITED",
  431: "HEADERS_TOO_LARGE",
  500: "INTERNAL",
  501: "NOT_CONFIGURED",
  503: "OVERLOADED PROVIDER_UNREACHABLE SHUTTING_DOWN UPGRADING NO_LEADER OUTCOME_UNKNOWN DATABASE_UNAVAILABLE MODULE_UNAVAILABLE",
  507: "STORAGE_FULL STORAGE_LIMIT_REACHED",
};

test("S1-43, S2-99, S2-100: the table of codes is the documented list, each code with its status", (t) => {
  keepsPromise(t, ["S1-43", "S2-100", "S2-99"]);
  const documented = Object.entries(DOCUMENTED).flatMap(([status, codes]) =>
    codes.split(" ").map((code) => [code, Number(status)] as const),
  );
  assert.deepEqual(
    Object.fromEntries(Object.entries(STATUS_OF).sort()),
    Object.fromEntries([...documented].sort(([left], [right]) => left.localeCompare(right))),
  );
  assert.equal(new Set(ERROR_CODES).size, documented.length);
});

test("every status has a reason phrase", () => {
  for (const status of new Set(Object.values(STATUS_OF))) assert.doesNotMatch(statusLine(status), /Unknown/);
});

test("S2-98, S3-08: what was not foreseen is INTERNAL with constant words", async (t) => {
  for (const [name, thrown] of [
    ["an error", new Error("SQLITE_ERROR: no such column: secret in /var/lib/prism/prism.db")],
    ["a string", "broken"],
    ["nothing", undefined],
    [
      "an error of ours with other words",
      new PrismError("INTERNAL", "select * from users", { details: [{ message: "x" }] }),
    ],
  ] as const) {
    await t.test(name, () => {
      const body = errorBody(toPrismError(thrown), "id-1");
      assert.deepEqual(body, { error: { code: "INTERNAL", message: "Internal error", requestId: "id-1" } });
    });
  }
});

test("S2-101: an error's body holds code, message, request id and the details, and nothing else", () => {
  const details = [{ path: "name", code: "REQUIRED", message: "is required" }];
  const error = new PrismError("VALIDATION_FAILED", "The body is not valid", { details, cause: new Error("inside") });
  assert.deepEqual(JSON.parse(JSON.stringify(errorBody(error, "id-1"))), {
    error: { code: "VALIDATION_FAILED", message: "The body is not valid", requestId: "id-1", details },
  });
});

test("the headers of a status are those of the contract", async (t) => {
  const headersOf = (code: PrismError["code"], retryAfterMs?: number) =>
    errorHeaders(new PrismError(code, "x", retryAfterMs === undefined ? {} : { retryAfterMs }));
  for (const code of ERROR_CODES) {
    await t.test(code, () => {
      const headers = headersOf(code);
      const status = STATUS_OF[code];
      const challenge =
        code === "UNAUTHENTICATED" ? 'Bearer realm="prism"' : 'Bearer realm="prism", error="invalid_token"';
      assert.equal(headers["WWW-Authenticate"], status === 401 ? challenge : undefined);
      assert.equal(headers["Retry-After"], status === 429 || status === 503 ? "1" : undefined);
      assert.equal(headers["Upgrade"], status === 426 ? "websocket" : undefined);
      const isLast = status === 408 || status === 411 || status === 413 || code === "SHUTTING_DOWN";
      assert.equal(endsConnection(new PrismError(code, "x")), isLast);
    });
  }
  await t.test("Retry-After is in whole seconds, rounded up", () => {
    assert.equal(headersOf("RATE_LIMITED", 1)["Retry-After"], "1");
    assert.equal(headersOf("RATE_LIMITED", 1001)["Retry-After"], "2");
    assert.equal(headersOf("OVERLOADED", 60_000)["Retry-After"], "60");
  });
});
